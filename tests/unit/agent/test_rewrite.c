#include "agent/media/rewrite.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>

Test(target, only_the_number_is_replaced)
{
    TEXT(better) = rewrite_target_text("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6.4,\na.m4s\n",
                                       7);
    cr_expect_str_eq(better, "#EXTM3U\n#EXT-X-TARGETDURATION:7\n#EXTINF:6.4,\na.m4s\n");
    TEXT(last) = rewrite_target_text("#EXTM3U\n#EXT-X-TARGETDURATION:0", 1);
    cr_expect_str_eq(last, "#EXTM3U\n#EXT-X-TARGETDURATION:1");
}

Test(target, what_says_so_already_is_left_alone)
{
    cr_expect_null(rewrite_target_text("#EXTM3U\n#EXT-X-TARGETDURATION:6\r\n", 6));
    cr_expect_null(rewrite_target_text("#EXTM3U\n#EXTINF:6,\n", 6));
    TEXT(longer) = rewrite_target_text("#EXTM3U\n#EXT-X-TARGETDURATION:60\n", 6);
    cr_expect_str_eq(longer, "#EXTM3U\n#EXT-X-TARGETDURATION:6\n");
}
