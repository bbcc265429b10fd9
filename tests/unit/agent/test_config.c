#include "../base/scratch.h"
#include "agent/base/config.h"

static int load(const struct scratch *scratch, const char *text, struct config *config,
                struct error *err)
{
    scratch_put_text(scratch, "agent.cfg", text);
    TEXT(path) = must_printf("%s/agent.cfg", scratch->path);
    return agent_config_load(path, config, err);
}

Test(agent_config, the_sample_equals_the_defaults)
{
    char *printed = NULL;
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    cr_assert(out);
    agent_config_print_sample(out);
    fclose(out);
    FD(source) = open(TAILSLATE_SOURCE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    TEXT(sample) = NULL;
    struct error err;
    cr_assert_eq(
        durable_read(source, "agent.cfg.sample", CONFIG_FILE_MAX_BYTES, &sample, &size, &err), 0,
        "%s", err.message);
    cr_expect_str_eq(sample, printed, "tailslate-agent check --sample > agent.cfg.sample");
    free(printed);
}

Test(agent_config, the_sample_is_itself_a_configuration)
{
    static struct config from_sample, defaults;
    struct error err;
    cr_assert_eq(agent_config_load(TAILSLATE_SOURCE_DIR "/agent.cfg.sample", &from_sample, &err), 0,
                 "%s", err.message);
    cr_assert_eq(agent_config_load(NULL, &defaults, &err), 0, "%s", err.message);
    cr_expect_eq(memcmp(&from_sample, &defaults, sizeof defaults), 0);
}

Test(agent_config, what_goes_wrong_only_together_is_refused_too)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"server: { url = \"ftp://x\"; };", "server.url"},
        {"node: { state_dir = \"relative\"; };", "node.state_dir"},
        {"retry: { base_seconds = 60.0; cap_seconds = 1.0; };", "retry.cap_seconds"},
        {"transcode: { recipe = \"command\"; };", "transcode.command"},
        {"server: { cert_file = \"/x.pem\"; };", "server.key_file"},
        {"node: { slots = 0; };", "slots"},
        {"node: { slots = \"two\"; };", "slots"},
        {"node: { slot = 2; };", "slot"},
        {"log: { level = \"loud\"; };", "level"},
    };
    static struct config config;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        SCRATCH(scratch);
        struct error err;
        cr_assert_eq(load(&scratch, cases[i].text, &config, &err), -1, "%s", cases[i].text);
        cr_expect(strstr(err.message, cases[i].word), "%s", err.message);
        cr_expect(strstr(err.message, "agent.cfg"), "%s", err.message);
        cr_expect_eq(error_exit_status(&err), 78);
    }
}

Test(agent_config, the_host_lends_its_name)
{
    static struct config config;
    struct error err;
    cr_assert_eq(agent_config_load(NULL, &config, &err), 0);
    char name[256];
    cr_assert_eq(gethostname(name, sizeof name), 0);
    cr_expect_str_eq(config.node.name, name);
}
