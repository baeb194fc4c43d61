/* SPDX-License-Identifier: MIT */
/*
 * A role is assumed by the token service of moto, which verifies the signature with botocore's own
 * signer. Variables: LSIO_SERVERS_MOTO_ENDPOINT, _REGION, _ACCESS_KEY, _SECRET_KEY, _ROLE.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/credential/chain.h"
#include "driver_rig.h"

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    if (!value)
        exit(77); /* skipped: the server does not run */
    return value;
}

/* Assumes the role of a profile with this secret key. */
static int assume(const char *secret, struct http_credential *out, char *report, size_t bytes)
{
    const struct fetch_client client = {.proxy = ""};
    struct credential_settings settings = {.callback = NULL};
    struct credential_memory memory = {METADATA_UNKNOWN};
    struct credential_world world;
    struct credential_request request = {
        .store = CREDENTIAL_S3, .settings = &settings, .world = &world, .memory = &memory};
    char *directory = rig_directory_make(NULL);
    char path[4096];
    FILE *file;
    int status;

    snprintf(path, sizeof(path), "%s/config", directory);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "[profile role]\nrole_arn = %s\nsource_profile = keys\nexternal_id = a:b/c+d\n"
            "[profile keys]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
            variable("LSIO_SERVERS_MOTO_ROLE"), variable("LSIO_SERVERS_MOTO_ACCESS_KEY"), secret);
    assert_int_equal(fclose(file), 0);
    credential_settings_set(&settings, CREDENTIAL_CONFIG_FILE, path);
    credential_settings_set(&settings, CREDENTIAL_PROFILE, "role");
    credential_settings_set(&settings, CREDENTIAL_REGION, variable("LSIO_SERVERS_MOTO_REGION"));
    credential_settings_set(&settings, CREDENTIAL_STS_ENDPOINT,
                            variable("LSIO_SERVERS_MOTO_ENDPOINT"));
    credential_world_init(&world, &client);
    request.deadline_ms = world.now_ms(world.data) + 60000;
    status = credential_chain_run(&request, out, report, bytes);
    credential_settings_finish(&settings);
    rig_directory_remove(directory);
    return status;
}

static void assume_role(void **state)
{
    const char *secret = variable("LSIO_SERVERS_MOTO_SECRET_KEY");
    struct http_credential out = {.kind = HTTP_CREDENTIAL_NONE};
    char report[CREDENTIAL_REPORT_BYTES], wrong[256];

    (void)state;
    if (assume(secret, &out, report, sizeof(report)) != 0)
        fail_msg("%s", report);
    assert_int_equal(out.kind, HTTP_CREDENTIAL_AWS);
    assert_int_equal(strncmp(out.id, "ASIA", 4), 0); /* temporary keys */
    assert_non_null(out.token);
    assert_true(out.expires_unix_s > 0);
    http_credential_wipe(&out);

    snprintf(wrong, sizeof(wrong), "%sx", secret);
    assert_int_equal(assume(wrong, &out, report, sizeof(report)), -EACCES);
    assert_non_null(strstr(report, "SignatureDoesNotMatch"));
    assert_null(strstr(report, secret));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assume_role),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
