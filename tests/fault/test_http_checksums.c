/* SPDX-License-Identifier: MIT */
/*
 * Bodies that are not what the checksum in their head says: with verify_checksums they are asked
 * for once more and then refused; where the checksum is of something else, or nobody asked, they
 * are delivered.
 *
 * LSIO_ROWS: H29
 */
#define _GNU_SOURCE
#include "http_case.h"

enum { ID = 29, SIZE = 120000 };

/* Of server_pattern(ID) of SIZE bytes, by Python's hashlib and a CRC bit by bit. */
#define CRC32C    "vCygIw=="
#define CRC64NVME "Oag5NXd0PPk="
#define MD5       "BtHEmkH0g9asz2KIVu5liQ=="
#define SHA256    "9HSCJqdAVqnFq/8rOkNh1ZUGzGLzoV/ViZvavbEFtQM="

#define AMZ_CRC64NVME "x-amz-checksum-crc64nvme: " CRC64NVME "\r\n"
#define ASKED         "verify_checksums=true"

static const struct server_fault flip = {.kind = SERVER_FLIP, .bytes = 55555, .times = 1};

static void put(struct http_case *c, const char *path, const char *headers)
{
    assert_int_equal(server_put(c->server, &(struct server_object){.path = path,
                                                                   .pattern_id = ID,
                                                                   .size = SIZE,
                                                                   .headers = headers}),
                     0);
}

static void begin(struct http_case *c, const char *headers)
{
    http_case_open_s3(c, ASKED);
    put(c, "/bucket/k", headers);
}

/* The object arrives damaged, and is delivered so. */
static void expect_unseen(struct http_case *c, int64_t offset, uint64_t length)
{
    unsigned before = http_case_requests(c);

    http_case_plan(c, NULL, 0, &flip);
    assert_int_equal(http_case_read(c, "k", offset, length), 0);
    assert_true(server_pattern_check(ID, (uint64_t)offset, c->memory, c->bytes) >= 0);
    assert_int_equal(http_case_requests(c), before + 1);
}

/* ----------------------------------------------------------------------------------- damaged -- */

static void damaged_once(void **state)
{
    struct http_case *c = *state;

    begin(c, AMZ_CRC64NVME);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(http_case_requests(c), 1);
    http_case_plan(c, NULL, 0, &flip);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(http_case_requests(c), 3);
    assert_string_equal(http_case_header(c, 2, "range"), "bytes=0-119999");
    assert_int_equal(http_case_header(c, 2, "if-match")[0], '"');
}

static void damaged_for_good(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = flip;

    begin(c, AMZ_CRC64NVME);
    fault.times = 2;
    http_case_plan(c, NULL, 0, &fault);
    assert_int_equal(http_case_read(c, "k", 0, SIZE), LSIO_E_CORRUPT);
    assert_int_equal(http_case_requests(c), 2);
    assert_int_equal(c->error.attempts, 2);
    assert_non_null(strstr(c->error.text, "crc64nvme"));
    assert_non_null(strstr(c->error.text, "the server's header says " CRC64NVME));
    assert_string_equal(c->error.request_id, "fault-server");
    http_case_expect(c, "k", ID, 0, SIZE); /* nothing is remembered */
}

/* How long it is shows in the answer only, which brings all of it at once. */
static void damaged_and_of_unknown_size(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = flip;

    begin(c, AMZ_CRC64NVME);
    http_case_plan(c, NULL, 0, &flip);
    http_case_expect(c, "k", ID, 0, LSIO_TO_END);
    assert_int_equal(c->bytes, SIZE);
    assert_int_equal(http_case_requests(c), 2);
    fault.times = 2;
    http_case_plan(c, NULL, 0, &fault);
    assert_int_equal(http_case_read(c, "k", 0, LSIO_TO_END), LSIO_E_CORRUPT);
}

/* The rest of a body that broke off belongs to it. */
static void damaged_in_the_rest(void **state)
{
    struct http_case *c = *state;

    begin(c, AMZ_CRC64NVME);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_CLOSE, .bytes = 70000});
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_FLIP, .bytes = 0});
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(http_case_requests(c), 3);
    assert_string_equal(http_case_header(c, 1, "range"), "bytes=70000-119999");
    assert_string_equal(http_case_header(c, 2, "range"), "bytes=0-119999");
}

/* Two objects of a batch, one of them damaged: the other one is not concerned. */
static void neighbours_are_spared(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = flip;
    struct lsio_object objects[2];
    struct lsio_chunk chunks[2];
    struct lsio_result results[2];
    struct lsio_request request = api_request(objects, 2, chunks, 2, results);

    begin(c, AMZ_CRC64NVME);
    put(c, "/bucket/other", AMZ_CRC64NVME);
    for (uint32_t i = 0; i < 2; i++) {
        objects[i] = (struct lsio_object){.store = c->store, .key = i ? "other" : "k"};
        chunks[i] = (struct lsio_chunk){
            .object = i, .length = SIZE, .dst = c->memory + i * SIZE, .dst_bytes = SIZE};
    }
    fault.times = 2;
    http_case_plan(c, "/bucket/k", 0, &fault);
    assert_int_equal(lsio_read_batch(c->context, &request), LSIO_E_CORRUPT);
    assert_int_equal(results[0].status, LSIO_E_CORRUPT);
    assert_int_equal(results[1].status, 0);
    assert_int_equal(server_pattern_check(ID, 0, results[1].data, SIZE), -1);
}

/* ---------------------------------------------------------------------------------- dialects -- */

/* Where each kind of store has it; the object's own is right, that of the faults is not. */
static void every_kind_of_store(void **state)
{
    static const struct {
        enum server_style style;
        const char *path, *headers;
        const char *name, *wrong;
    } rows[] = {
        {SERVER_S3, "/bucket/k", "x-amz-checksum-crc32c: " CRC32C "\r\n", "x-amz-checksum-crc32c",
         "AAAAAA=="},
        {SERVER_S3, "/bucket/k", AMZ_CRC64NVME, "x-amz-checksum-crc64nvme", "AAAAAAAAAAA="},
        {SERVER_GCS, "/bucket/k", "x-goog-hash: crc32c=" CRC32C ",md5=" MD5 "\r\n", "x-goog-hash",
         "crc32c=AAAAAA==,md5=" MD5},
        {SERVER_AZURE, "/account/bucket/k", "x-ms-blob-content-md5: " MD5 "\r\n",
         "x-ms-blob-content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="},
        {SERVER_PLAIN, "/data/k", "Content-MD5: " MD5 "\r\n", "Content-MD5",
         "AAAAAAAAAAAAAAAAAAAAAA=="},
        {SERVER_PLAIN, "/data/k", "Repr-Digest: sha-256=:" SHA256 ":\r\n", "Repr-Digest",
         "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"},
    };
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct server_fault fault = {
            .kind = SERVER_HEADER, .name = rows[i].name, .text = rows[i].wrong, .times = 2};
        if (rows[i].style == SERVER_S3)
            http_case_open_s3(c, ASKED);
        else if (rows[i].style == SERVER_GCS)
            http_case_open_gcs(c, ASKED);
        else if (rows[i].style == SERVER_AZURE)
            http_case_open_azure(c, ASKED);
        else
            http_case_open(c, "%s/data", ASKED, NULL);
        put(c, rows[i].path, rows[i].headers);
        http_case_expect(c, "k", ID, 0, SIZE);
        http_case_plan(c, NULL, 0, &fault);
        assert_int_equal(http_case_read(c, "k", 0, SIZE), LSIO_E_CORRUPT);
        assert_int_equal(lsio_store_close(c->store), 0);
        c->store = NULL;
        assert_int_equal(server_finish(c->server, NULL, 0), 0);
        server_destroy(c->server);
        c->server = NULL;
    }
}

/* Cloud Storage's is of what is stored; that is what we ask for. */
static void stored_compressed(void **state)
{
    struct http_case *c = *state;

    http_case_open_gcs(c, ASKED);
    put(c, "/bucket/k",
        "Content-Encoding: gzip\r\nx-goog-stored-content-encoding: gzip\r\n"
        "x-goog-hash: crc32c=" CRC32C "\r\n");
    http_case_plan(c, NULL, 0, &flip);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(http_case_requests(c), 2);
}

/* S3 sends it to those who ask, and what is asked must be signed; nobody else is asked. */
static void asking(void **state)
{
    struct http_case *c = *state;

    begin(c, AMZ_CRC64NVME);
    http_case_expect(c, "k", ID, 5, 10);
    assert_string_equal(http_case_header(c, 0, "x-amz-checksum-mode"), "ENABLED");
    assert_non_null(strstr(http_case_header(c, 0, "authorization"), ";x-amz-checksum-mode;"));
    http_case_open_s3(c, NULL);
    http_case_expect(c, "k", ID, 5, 10);
    assert_string_equal(http_case_header(c, 1, "x-amz-checksum-mode"), "");
    put(c, "/data/k", NULL);
    http_case_open(c, "%s/data", ASKED, NULL);
    http_case_expect(c, "k", ID, 5, 10);
    assert_string_equal(http_case_header(c, 2, "x-amz-checksum-mode"), "");
}

/* ------------------------------------------------------------------------ nothing to compare -- */

static void not_asked(void **state)
{
    struct http_case *c = *state;

    http_case_open_s3(c, NULL);
    put(c, "/bucket/k", AMZ_CRC64NVME);
    expect_unseen(c, 0, SIZE);
}

static void not_of_these_bytes(void **state)
{
    static const char *const headers[] = {NULL, "x-amz-checksum-crc64nvme: " CRC64NVME "-3\r\n",
                                          AMZ_CRC64NVME "x-amz-checksum-type: COMPOSITE\r\n",
                                          "x-amz-checksum-crc32c: none\r\n"};
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(headers); i++) {
        begin(c, headers[i]);
        expect_unseen(c, 0, SIZE);
    }
    begin(c, AMZ_CRC64NVME);
    expect_unseen(c, 1, SIZE - 1);
    expect_unseen(c, 0, SIZE - 1);
}

/* In parts, or joined with another range: not in one piece, so not compared, and not refused. */
static void not_in_one_piece(void **state)
{
    struct http_case *c = *state;
    struct lsio_object object;
    struct lsio_chunk chunks[2] = {
        {.length = 1000, .dst = c->memory, .dst_bytes = 1000},
        {.offset = 1000, .length = SIZE - 1000, .dst = c->memory + 2000, .dst_bytes = SIZE}};
    struct lsio_request request = api_request(&object, 1, chunks, 2, NULL);

    begin(c, AMZ_CRC64NVME);
    object = (struct lsio_object){.store = c->store, .key = "k", .size = SIZE};
    assert_int_equal(lsio_read_batch(c->context, &request), 0);
    assert_int_equal(server_pattern_check(ID, 0, c->memory, 1000), -1);
    assert_int_equal(server_pattern_check(ID, 1000, c->memory + 2000, SIZE - 1000), -1);
    assert_int_equal(http_case_requests(c), 1);
    http_case_open(c, "s3://bucket", "endpoint=%s", "skip_signature=true", "split_bytes=64K", ASKED,
                   NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_true(http_case_requests(c) > 2);
}

/* A server without ranges: 200, and so Content-MD5 is of the body whatever one thinks of ranges. */
static void whole_answers(void **state)
{
    struct http_case *c = *state;

    http_case_open(c, "%s/data", ASKED, NULL);
    put(c, "/data/k", "Content-MD5: " MD5 "\r\n");
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_WHOLE});
    http_case_expect(c, "k", ID, 0, SIZE);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_WHOLE});
    http_case_expect(c, "k", ID, 1000, 1000); /* sliced: not all of it */
    assert_int_equal(http_case_requests(c), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_once),
        cmocka_unit_test(damaged_for_good),
        cmocka_unit_test(damaged_and_of_unknown_size),
        cmocka_unit_test(damaged_in_the_rest),
        cmocka_unit_test(neighbours_are_spared),
        cmocka_unit_test(every_kind_of_store),
        cmocka_unit_test(stored_compressed),
        cmocka_unit_test(asking),
        cmocka_unit_test(not_asked),
        cmocka_unit_test(not_of_these_bytes),
        cmocka_unit_test(not_in_one_piece),
        cmocka_unit_test(whole_answers),
    };

    return http_case_run("checksums", tests, COUNT(tests));
}
