/* SPDX-License-Identifier: MIT */
/*
 * aws.h - what the AWS providers share among themselves: the answers of credential endpoints, and
 * the Security Token Service.
 *
 * Threads: the context's helper thread.
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_AWS_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_AWS_H

#include "driver/http/credential/provider.h"

/* The names under which an answer holds its set; NULL: it has no such member. */
struct aws_answer_names {
    const char *id, *secret, *token, *expires;
    bool expires_ms;       /* `expires` is a number of milliseconds, not a time stamp */
    bool expires_optional; /* without it the set never expires */
};

/* Takes the set out of a JSON object; LSIO_E_PROTOCOL and a sentence about `what` if it is not
 * whole. The token may be absent. */
int aws_answer(struct credential_request *request, struct json_object *object,
               const struct aws_answer_names *names, const char *what, struct http_credential *out,
               const char *source);

/* True for what can be part of a host's name; a region comes from files and variables. */
bool aws_region_is_name(const char *region);
/* The domain of a region's services; NULL: of the global ones. */
const char *aws_region_domain(const char *region);

/* The session name for a role: what was set, or "lsio-SECONDS". */
void aws_session_name(const struct credential_request *request, const char *given, char *out,
                      size_t bytes);

struct aws_role {
    const char *arn;
    const char *session_name;
    const char *external_id; /* NULL: none */
    uint64_t duration_s;     /* 0: the service's default */
    const char *region;      /* whose endpoint is asked; NULL: the global one */
};

/* AssumeRole with the credentials `base`; AssumeRoleWithWebIdentity with the token in a file. */
int aws_assume_role(struct credential_request *request, const struct aws_role *role,
                    const struct http_credential *base, struct http_credential *out,
                    const char *source);
int aws_assume_role_by_token(struct credential_request *request, const struct aws_role *role,
                             const char *token_file, struct http_credential *out,
                             const char *source);

/* Runs a program as `credential_process` and takes its answer. */
int aws_process(struct credential_request *request, const char *command,
                struct http_credential *out);

/* Single sign-on by the token that `aws sso login` has cached. `session` NULL: the older form,
 * whose token is filed under the start URL. */
struct aws_sso {
    const char *session, *start_url, *region, *account_id, *role_name;
};
int aws_sso(struct credential_request *request, const struct aws_sso *sso,
            struct http_credential *out);

#endif
