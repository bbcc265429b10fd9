#include "scripted.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"

void scripted_server(struct peer *peer, const char *claims, const char *completions)
{
    TEXT(source) = must_printf("file %s", media_clip(MEDIA_TINY));
    const char *const script[][2] = {
        {"*", "404"},
        {"POST *heartbeat", "200 {\"status\":\"ok\",\"server_time\":\"2026-01-03T16:28:00Z\"}"},
        {"POST *claim*", claims},
        {"GET *source/*", source},
        {"POST *progress", "200 {\"status\":\"ok\","
                           "\"claim_expires_at\":\"2036-01-03T16:28:00+00:00\"}"},
        {"GET *segments/status*",
         "200 {\"quality\":\"360p\",\"received_segments\":[],\"total_size_bytes\":0}"},
        {"POST *upload/*", "200 {\"status\":\"ok\",\"written\":true,\"bytes_written\":1,"
                           "\"checksum_verified\":true,\"message\":\"ok\"}"},
        {"POST *segment/finalize", SCRIPTED_FINALIZED},
        {"POST *complete", completions},
    };
    for (size_t i = 0; i < sizeof script / sizeof *script; i++)
        peer_script(peer, script[i][0], script[i][1]);
}
