/* test_ice: who is answered, which paths are kept, which one is used, and how long consent lasts. */
#include "ice.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "check.h"

static const char UFRAG[] = "relay", PWD[] = "a-password-of-the-relay!", PEER[] = "peer";
#define MS 1000u
#define SECOND 1000000u
#define START (1000ull * SECOND)

static uint64_t transactions;

static tr_path path_from(uint16_t port)
{
    return (tr_path){.local = {4, {10, 0, 0, 1}, 40000}, .remote = {4, {192, 0, 2, 7}, port}};
}

/* Sends `data` as a check; the answer's size never exceeds its own. */
static tr_drop send_raw(tr_ice *ice, const uint8_t *data, size_t size, const tr_path *path, uint64_t now_us,
                        uint8_t *out, tr_ice_answer *answer)
{
    tr_stun stun;
    memset(answer, 0, sizeof *answer);
    tr_drop drop = tr__stun_parse(&stun, data, size);
    if (drop == TR_DROP_NONE) drop = tr__ice_on_stun(ice, &stun, path, now_us, out, TR_STUN_MAX_RESPONSE, answer);
    CHECK(answer->size <= size);
    if (drop != TR_DROP_NONE) CHECK_EQ(0, answer->size);
    return drop;
}

static size_t make_request(uint8_t *data, size_t room, const char *username, const char *password, uint32_t priority,
                           bool use_candidate)
{
    uint8_t transaction[12] = {0};
    tr__store64(transaction, ++transactions);
    return tr__stun_write_request(data, room, transaction, username, priority, use_candidate, 77, password,
                                  strlen(password));
}

/* A right check from a port, at a time. */
static tr_ice_answer check_from(tr_ice *ice, uint16_t port, uint32_t priority, bool use_candidate, uint64_t now_us)
{
    uint8_t data[256], out[TR_STUN_MAX_RESPONSE];
    tr_path path = path_from(port);
    tr_ice_answer answer;
    size_t size = make_request(data, sizeof data, "relay:peer", PWD, priority, use_candidate);
    CHECK_EQ(TR_DROP_NONE, send_raw(ice, data, size, &path, now_us, out, &answer));
    return answer;
}

static int selected_port(const tr_ice *ice)
{
    const tr_path *path = tr__ice_selected(ice);
    return path ? path->remote.port : 0;
}

static tr_ice new_ice(void)
{
    tr_ice ice;
    tr__ice_init(&ice, UFRAG, PWD);
    tr__ice_set_remote(&ice, PEER, "a-password-of-the-peer!!");
    return ice;
}

/* ------------------------------------------------------------------ who is answered */

static void only_the_right_credentials_are_answered(void)
{
    static const struct {
        const char *what, *username, *password;
        bool knows_remote, is_right;
    } ROWS[] = {
        {"right", "relay:peer", "a-password-of-the-relay!", true, true},
        {"another password", "relay:peer", "a-password-of-the-relay?", true, false},
        {"the peer's password", "relay:peer", "a-password-of-the-peer!!", true, false},
        {"no password", "relay:peer", "", true, false},
        {"another local fragment", "delay:peer", "a-password-of-the-relay!", true, false},
        {"a longer local fragment", "relay2:peer", "a-password-of-the-relay!", true, false},
        {"a shorter local fragment", "rela:peer", "a-password-of-the-relay!", true, false},
        {"another remote fragment", "relay:beer", "a-password-of-the-relay!", true, false},
        {"a longer remote fragment", "relay:peer2", "a-password-of-the-relay!", true, false},
        {"an empty remote fragment", "relay:", "a-password-of-the-relay!", true, false},
        {"no colon", "relay", "a-password-of-the-relay!", true, false},
        {"halves swapped", "peer:relay", "a-password-of-the-relay!", true, false},
        {"no username", "", "a-password-of-the-relay!", true, false},
        {"any remote fragment before the answer", "relay:whoever", "a-password-of-the-relay!", false, true},
        {"still the right local one", "delay:whoever", "a-password-of-the-relay!", false, false},
        {"still the right password", "relay:whoever", "a-password-of-the-relay?", false, false},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        tr_ice ice;
        tr__ice_init(&ice, UFRAG, PWD);
        if (ROWS[i].knows_remote) tr__ice_set_remote(&ice, PEER, "a-password-of-the-peer!!");
        uint8_t data[256], out[TR_STUN_MAX_RESPONSE];
        tr_path path = path_from(1);
        tr_ice_answer answer;
        size_t size = make_request(data, sizeof data, ROWS[i].username, ROWS[i].password, 1, true);
        tr_drop drop = send_raw(&ice, data, size, &path, START, out, &answer);
        if (drop != (ROWS[i].is_right ? TR_DROP_NONE : TR_DROP_STUN_INTEGRITY))
            fprintf(stderr, "row: %s\n", ROWS[i].what);
        CHECK_EQ(ROWS[i].is_right ? TR_DROP_NONE : TR_DROP_STUN_INTEGRITY, drop);
        CHECK_EQ(ROWS[i].is_right, answer.size > 0);
        CHECK_EQ(ROWS[i].is_right, answer.path_added);
        CHECK_EQ(ROWS[i].is_right, ice.path_count);
        CHECK_EQ(ROWS[i].is_right, tr__ice_selected(&ice) != NULL);
        CHECK_EQ(ROWS[i].is_right, tr__ice_has_consent(&ice, START, 30 * SECOND));
    }
}

static void the_answer_says_where_the_check_came_from(void)
{
    tr_ice ice = new_ice();
    uint8_t data[256], out[TR_STUN_MAX_RESPONSE];
    tr_path path = path_from(50000);
    tr_ice_answer answer;
    size_t size = make_request(data, sizeof data, "relay:peer", PWD, 1, false);
    CHECK_EQ(TR_DROP_NONE, send_raw(&ice, data, size, &path, START, out, &answer));
    tr_stun stun;
    CHECK_EQ(TR_DROP_NONE, tr__stun_parse(&stun, out, answer.size));
    CHECK_EQ(TR_STUN_SUCCESS, stun.class);
    CHECK_BYTES(data + 8, stun.transaction, 12);
    CHECK(tr__stun_verify(&stun, PWD, strlen(PWD)) && tr__stun_check_fingerprint(&stun));
    uint8_t expected[64];
    tr__stun_write_success(expected, sizeof expected, data + 8, 4, path.remote.ip, 50000, PWD, strlen(PWD));
    CHECK_BYTES(expected, out, 64);

    path.remote = (tr_address){6, {0x20, 1, 0xd, 0xb8}, 50000};
    CHECK_EQ(TR_DROP_NONE, send_raw(&ice, data, size, &path, START, out, &answer));
    CHECK_EQ(76, answer.size);
}

/* ------------------------------------------------------------------ checks put together by hand */

/* MESSAGE-INTEGRITY and FINGERPRINT by other means than stun.c's: HMAC() and a CRC bit by bit. */
static size_t put_integrity(uint8_t *data, size_t size)
{
    unsigned mac_size = 20;
    tr__store16(data + 2, (uint16_t)(size + 24 - 20));
    memcpy(data + size, "\0\x08\0\x14", 4);
    HMAC(EVP_sha1(), PWD, (int)strlen(PWD), data, size, data + size + 4, &mac_size);
    return size + 24;
}

static size_t put_fingerprint(uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;
    tr__store16(data + 2, (uint16_t)(size + 8 - 20));
    for (size_t i = 0; i < size * 8; i++) {
        bool bit = (crc ^ data[i / 8] >> i % 8) & 1;
        crc = crc >> 1 ^ (bit ? 0xedb88320u : 0);
    }
    memcpy(data + size, "\x80\x28\0\x04", 4);
    tr__store32(data + size + 4, ~crc ^ 0x5354554e);
    return size + 8;
}

enum { INTEGRITY = 1, PRINT = 2, BOTH = 3 };

/* A message of this type with USERNAME and the given attributes (size bytes). */
static size_t make_message(uint8_t *data, uint16_t type, const void *attributes, size_t size, int with)
{
    memset(data, 0, 20);
    tr__store16(data, type);
    tr__store32(data + 4, 0x2112a442);
    tr__store64(data + 8, ++transactions);
    memcpy(data + 20, "\0\x06\0\x0arelay:peer\0", 16);
    memcpy(data + 36, attributes, size);
    size += 36;
    tr__store16(data + 2, (uint16_t)(size - 20));
    if (with & INTEGRITY) size = put_integrity(data, size);
    if (with & PRINT) size = put_fingerprint(data, size);
    return size;
}

#define PRIORITY_7 "\0\x24\0\x04\0\0\0\x07"
#define CONTROLLING "\x80\x2a\0\x08\0\0\0\0\0\0\0\x01"
#define CONTROLLED "\x80\x29\0\x08\0\0\0\0\0\0\0\x01"
#define NOMINATE "\0\x25\0\0"
#define UNKNOWN "\x7f\x01\0\0"
#define OPTIONAL "\xc0\x57\0\x04\0\0\0\x01"

static void messages_are_answered_or_not(void)
{
#define ATTRIBUTES(text) text, sizeof text - 1
    static const struct {
        const char *what;
        uint16_t type;
        const char *attributes;
        size_t attributes_size;
        int with;
        tr_drop drop;
        int answer; /* 0 none, 1 success, else an error code */
        bool is_learned;
    } ROWS[] = {
        {"a check", 0x0001, ATTRIBUTES(PRIORITY_7 CONTROLLING), BOTH, TR_DROP_NONE, 1, true},
        {"a nominating check", 0x0001, ATTRIBUTES(PRIORITY_7 CONTROLLING NOMINATE), BOTH, TR_DROP_NONE, 1, true},
        {"attributes of a browser's own", 0x0001, ATTRIBUTES(OPTIONAL PRIORITY_7 CONTROLLING), BOTH, TR_DROP_NONE, 1,
         true},
        {"no role", 0x0001, ATTRIBUTES(PRIORITY_7), BOTH, TR_DROP_NONE, 1, true},
        {"nothing but a user", 0x0001, ATTRIBUTES(""), BOTH, TR_DROP_NONE, 1, true},
        {"no FINGERPRINT", 0x0001, ATTRIBUTES(PRIORITY_7 CONTROLLING), INTEGRITY, TR_DROP_STUN_INTEGRITY, 0, false},
        {"no MESSAGE-INTEGRITY", 0x0001, ATTRIBUTES(PRIORITY_7 CONTROLLING), PRINT, TR_DROP_STUN_INTEGRITY, 0, false},
        {"neither", 0x0001, ATTRIBUTES(PRIORITY_7 CONTROLLING), 0, TR_DROP_STUN_INTEGRITY, 0, false},
        {"the peer believes it is controlled", 0x0001, ATTRIBUTES(PRIORITY_7 CONTROLLED), BOTH, TR_DROP_NONE, 487,
         false},
        {"and nominates", 0x0001, ATTRIBUTES(PRIORITY_7 CONTROLLED NOMINATE), BOTH, TR_DROP_NONE, 487, false},
        {"and is not authentic", 0x0001, ATTRIBUTES(PRIORITY_7 CONTROLLED), PRINT, TR_DROP_STUN_INTEGRITY, 0, false},
        {"an attribute to be understood", 0x0001, ATTRIBUTES(PRIORITY_7 UNKNOWN CONTROLLING), BOTH, TR_DROP_NONE, 420,
         false},
        {"before the role", 0x0001, ATTRIBUTES(UNKNOWN CONTROLLED NOMINATE), BOTH, TR_DROP_NONE, 420, false},
        {"and is not authentic", 0x0001, ATTRIBUTES(UNKNOWN CONTROLLING), 0, TR_DROP_STUN_INTEGRITY, 0, false},
        {"an indication", 0x0011, ATTRIBUTES(PRIORITY_7 CONTROLLING), BOTH, TR_DROP_STUN_UNEXPECTED, 0, false},
        {"a success response", 0x0101, ATTRIBUTES(PRIORITY_7 CONTROLLING), BOTH, TR_DROP_STUN_UNEXPECTED, 0, false},
        {"an error response", 0x0111, ATTRIBUTES(PRIORITY_7 CONTROLLING), BOTH, TR_DROP_STUN_UNEXPECTED, 0, false},
        {"TURN Allocate", 0x0003, ATTRIBUTES(PRIORITY_7 CONTROLLING), BOTH, TR_DROP_STUN_UNEXPECTED, 0, false},
        {"method 0x81", 0x0201, ATTRIBUTES(PRIORITY_7 CONTROLLING), BOTH, TR_DROP_STUN_UNEXPECTED, 0, false},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        tr_ice ice = new_ice();
        uint8_t data[256], out[TR_STUN_MAX_RESPONSE];
        tr_path path = path_from(1);
        tr_ice_answer answer;
        size_t size = make_message(data, ROWS[i].type, ROWS[i].attributes, ROWS[i].attributes_size, ROWS[i].with);
        int before = check__failures;
        CHECK_EQ(ROWS[i].drop, send_raw(&ice, data, size, &path, START, out, &answer));
        CHECK_EQ(ROWS[i].answer != 0, answer.size > 0);
        CHECK_EQ(ROWS[i].is_learned, ice.path_count);
        /* Consent renews with every authentic request, refused or not (RFC 7675: the peer lives and wants us). */
        CHECK_EQ(ROWS[i].drop == TR_DROP_NONE, tr__ice_has_consent(&ice, START, SECOND));
        if (answer.size) {
            tr_stun stun;
            CHECK_EQ(TR_DROP_NONE, tr__stun_parse(&stun, out, answer.size));
            CHECK_EQ(ROWS[i].answer == 1 ? TR_STUN_SUCCESS : TR_STUN_ERROR, stun.class);
            if (ROWS[i].answer > 1) CHECK_EQ(ROWS[i].answer, stun.error_code);
            CHECK(tr__stun_verify(&stun, PWD, strlen(PWD)) && tr__stun_check_fingerprint(&stun));
        }
        if (check__failures != before) fprintf(stderr, "row: %s\n", ROWS[i].what);
    }
}

/* From an IPv6 address the answer would be 76 bytes: a request of 68 is heard, and not answered. */
static void an_answer_larger_than_its_request_is_not_sent(void)
{
    tr_ice ice = new_ice();
    uint8_t data[256], out[TR_STUN_MAX_RESPONSE];
    tr_path path = {.remote = {6, {0x20, 1}, 9}};
    tr_ice_answer answer;
    size_t size = make_message(data, 0x0001, "", 0, BOTH);
    CHECK_EQ(68, size);
    CHECK_EQ(TR_DROP_NONE, send_raw(&ice, data, size, &path, START, out, &answer));
    CHECK_EQ(0, answer.size);
    CHECK_EQ(1, ice.path_count);
    size = make_message(data, 0x0001, PRIORITY_7, 8, BOTH);
    CHECK_EQ(TR_DROP_NONE, send_raw(&ice, data, size, &path, START, out, &answer));
    CHECK_EQ(76, answer.size);
}

/* Each byte of 200 checks changed in turn: silence, and nothing learned. */
static void a_changed_byte_is_answered_with_silence(void)
{
    uint64_t state = 5;
    for (int round = 0; round < 200; round++) {
        uint8_t data[256], out[TR_STUN_MAX_RESPONSE];
        tr_ice_answer answer;
        tr_path path = path_from(1);
        size_t size = make_request(data, sizeof data, "relay:peer", PWD, 100, round & 1);
        for (size_t at = 0; at < size; at++) {
            tr_ice ice = new_ice();
            uint8_t change = (uint8_t)(1 + check_random(&state) % 255);
            data[at] ^= change;
            CHECK(send_raw(&ice, data, size, &path, START, out, &answer) != TR_DROP_NONE);
            CHECK(ice.path_count == 0 && !ice.consent_us);
            data[at] ^= change;
        }
    }
}

/* ------------------------------------------------------------------ which path is used */

static void a_path_is_used_once_it_is_nominated(void)
{
    tr_ice ice = new_ice();
    tr_ice_answer answer = check_from(&ice, 1, 100, false, START);
    CHECK(answer.path_added && !answer.selected_changed);
    CHECK_EQ(1, answer.added.remote.port);
    CHECK_EQ(0, selected_port(&ice));
    answer = check_from(&ice, 1, 100, false, START + 50 * MS);
    CHECK(!answer.path_added && !answer.selected_changed);
    answer = check_from(&ice, 1, 100, true, START + 60 * MS);
    CHECK(answer.selected_changed && !answer.path_added);
    CHECK_EQ(1, selected_port(&ice));
    answer = check_from(&ice, 1, 100, true, START + 70 * MS);
    CHECK(!answer.selected_changed);
}

/* Scripts: who checks when, and which path is used afterwards. Time in ms. */
typedef struct step {
    uint32_t at_ms;
    uint16_t port;
    uint32_t priority;
    bool use_candidate;
    int selected;
} step;

#define END                                                                                                            \
    {                                                                                                                  \
        0, 0, 0, false, 0                                                                                              \
    }

static void paths_are_selected_by_the_script(void)
{
    static const struct {
        const char *what;
        step steps[24];
    } SCRIPTS[] = {
        {"of nominated paths the best priority",
         {{0, 1, 50, true, 1}, {300, 2, 100, true, 2}, {600, 3, 70, true, 2}, {900, 1, 50, false, 2}, END}},
        {"a better path that is not nominated is not used",
         {{0, 1, 50, true, 1}, {300, 2, 100, false, 1}, {600, 2, 100, false, 1}, {900, 2, 100, true, 2}, END}},
        {"of equals the one nominated last", {{0, 1, 50, true, 1}, {300, 2, 50, true, 2}, {600, 3, 50, true, 3}, END}},
        {"aggressive, all pairs at once: the best within 200 ms of the first, at the next check",
         {{0, 1, 50, true, 1},
          {0, 2, 100, true, 1},
          {10, 3, 70, true, 1},
          {199, 2, 100, false, 1},
          {200, 2, 100, false, 2},
          {450, 1, 50, false, 2},
          {600, 3, 70, false, 2},
          END}},
        {"aggressive, one consent check on the best pair much later",
         {{0, 1, 50, true, 1}, {20, 2, 100, true, 1}, {4500, 2, 100, false, 2}, {9000, 2, 100, false, 2}, END}},
        {"aggressive, equals nominated in the same instant: the last, and no flapping",
         {{0, 1, 50, true, 1},
          {0, 2, 50, true, 1},
          {300, 1, 50, false, 2},
          {600, 1, 50, false, 2},
          {900, 2, 50, false, 2},
          {1200, 1, 50, false, 2},
          END}},
        {"aggressive for ever: nominating every pair, each check, does not flap",
         {{0, 1, 50, true, 1},
          {10, 2, 50, true, 1},
          {500, 1, 50, true, 2},
          {510, 2, 50, true, 2},
          {1000, 1, 50, true, 2},
          {1010, 2, 50, true, 2},
          {1500, 1, 50, true, 2},
          {1510, 2, 50, true, 2},
          END}},
        {"and the same with a worse one",
         {{0, 1, 50, true, 1},
          {300, 2, 90, true, 2},
          {500, 1, 50, true, 2},
          {510, 2, 90, true, 2},
          {1000, 1, 50, true, 2},
          {1010, 2, 90, true, 2},
          {1500, 1, 50, true, 2},
          {1510, 2, 90, true, 2},
          END}},
        {"a worse path wins once the better one is dead",
         {{0, 2, 100, true, 2}, {4900, 1, 50, true, 2}, {5001, 1, 50, false, 1}, END}},
        {"alive to the last microsecond", {{0, 2, 100, true, 2}, {5000, 1, 50, true, 2}, END}},
        {"nominated before the better one died",
         {{0, 1, 50, true, 1},
          {300, 2, 100, true, 2},
          {3000, 1, 50, false, 2},
          {5300, 1, 50, false, 2},
          {5301, 1, 50, false, 1},
          END}},
        {"a dead path gives way at once, whenever the last switch was",
         {{0, 2, 100, true, 2}, {5100, 1, 50, true, 1}, {5101, 3, 60, true, 1}, {5300, 3, 60, false, 3}, END}},
        {"of several living ones the best takes over",
         {{0, 9, 100, true, 9},
          {100, 1, 50, true, 9},
          {200, 2, 60, true, 9},
          {300, 3, 55, true, 9},
          {5050, 1, 50, false, 2},
          {5051, 2, 60, false, 2},
          {5060, 3, 55, false, 2},
          END}},
        {"and if it falls silent at once, the next, within 200 ms too",
         {{0, 9, 100, true, 9},
          {200, 2, 60, true, 9},
          {5050, 1, 50, true, 2},
          {5200, 1, 50, false, 2},
          {5201, 1, 50, false, 1},
          END}},
        {"a path back from the dead is used again",
         {{0, 2, 100, true, 2}, {5100, 1, 50, true, 1}, {8000, 1, 50, false, 1}, {9000, 2, 100, false, 2}, END}},
        {"a dead path gives way even to one that was never nominated",
         {{0, 2, 100, true, 2}, {3000, 1, 50, false, 2}, {5100, 1, 50, false, 1}, {5400, 3, 40, true, 3}, END}},
        {"Chromium moves to a worse pair: it nominates that one alone, and the old one goes on being checked",
         {{0, 2, 100, true, 2},
          {500, 1, 50, false, 2},
          {1000, 2, 100, true, 2},
          {1500, 1, 50, true, 2},
          {1600, 2, 100, false, 2},
          {2000, 1, 50, true, 1},
          {2100, 2, 100, false, 1},
          {2500, 1, 50, true, 1},
          {2600, 2, 100, false, 1},
          END}},
        {"and comes back",
         {{0, 2, 100, true, 2},
          {500, 1, 50, true, 2},
          {600, 1, 50, true, 1},
          {1000, 2, 100, false, 1},
          {1100, 2, 100, true, 2},
          END}},
        {"moving twice within 200 ms waits for the next check",
         {{0, 2, 100, true, 2},
          {50, 1, 50, true, 2},
          {100, 1, 50, true, 2},
          {150, 2, 100, false, 2},
          {250, 2, 100, false, 1},
          END}},
        {"one nomination between the selected path's own is no move",
         {{0, 2, 100, true, 2},
          {500, 1, 50, true, 2},
          {600, 2, 100, true, 2},
          {1000, 1, 50, true, 2},
          {1100, 2, 100, true, 2},
          {1500, 1, 50, true, 2},
          END}},
        {"back among equals: two nominations, for one might be a straggler",
         {{0, 1, 50, true, 1}, {300, 2, 50, true, 2}, {600, 1, 50, true, 2}, {900, 1, 50, true, 1}, END}},
        {"a rebound NAT: the old path, silent, with the same priority, goes on from another port",
         {{0, 1, 50, true, 1}, {2500, 1, 50, false, 1}, {5000, 2, 50, false, 2}, {7500, 2, 50, false, 2}, END}},
        {"not when the old path was checked just now",
         {{0, 1, 50, true, 1}, {2500, 1, 50, false, 1}, {2600, 2, 50, false, 1}, {2900, 2, 50, false, 1}, END}},
        {"nor with another priority", {{0, 1, 50, true, 1}, {2500, 1, 50, false, 1}, {5000, 2, 60, false, 1}, END}},
        {"nor without one", {{0, 1, 0, true, 1}, {2500, 1, 0, false, 1}, {5000, 2, 0, false, 1}, END}},
        {"nor a path that was known before",
         {{0, 1, 50, true, 1}, {100, 2, 50, false, 1}, {2500, 1, 50, false, 1}, {5000, 2, 50, false, 1}, END}},
        {"the priority of the latest check counts",
         {{0, 1, 50, true, 1}, {300, 2, 40, true, 1}, {600, 2, 60, false, 2}, {900, 2, 30, false, 1}, END}},
    };
    for (size_t i = 0; i < sizeof SCRIPTS / sizeof *SCRIPTS; i++) {
        tr_ice ice = new_ice();
        int was = 0;
        for (const step *s = SCRIPTS[i].steps; s->port; s++) {
            int before = check__failures;
            tr_ice_answer answer =
                check_from(&ice, s->port, s->priority, s->use_candidate, START + s->at_ms * (uint64_t)MS);
            CHECK_EQ(s->selected, selected_port(&ice));
            CHECK_EQ(s->selected != was, answer.selected_changed);
            was = selected_port(&ice);
            if (check__failures != before)
                fprintf(stderr, "script: %s, at %u ms\n", SCRIPTS[i].what, (unsigned)s->at_ms);
        }
    }
}

/* Firefox repeats a check that was not answered: the same transaction, however often, insists on nothing. */
static void retransmissions_do_not_insist(void)
{
    tr_ice ice = new_ice();
    check_from(&ice, 2, 100, true, START);
    uint8_t data[256], out[TR_STUN_MAX_RESPONSE];
    tr_path path = path_from(1);
    tr_ice_answer answer;
    size_t size = make_request(data, sizeof data, "relay:peer", PWD, 50, true);
    for (unsigned i = 0; i < 7; i++) {
        CHECK_EQ(TR_DROP_NONE, send_raw(&ice, data, size, &path, START + (300 + 100 * i) * MS, out, &answer));
        CHECK_EQ(2, selected_port(&ice));
    }
    check_from(&ice, 1, 50, true, START + 2 * SECOND);
    CHECK_EQ(1, selected_port(&ice));
}

static void paths_to_our_other_addresses_are_paths_of_their_own(void)
{
    tr_ice ice = new_ice();
    uint8_t data[256], out[TR_STUN_MAX_RESPONSE];
    tr_ice_answer answer;
    tr_path path = path_from(1);
    for (unsigned i = 0; i < 4; i++) {
        if (i == 1) path.local.ip[3]++;
        if (i == 2) path.socket++;
        if (i == 3) path.local.port++;
        size_t size = make_request(data, sizeof data, "relay:peer", PWD, 100, i == 0);
        CHECK_EQ(TR_DROP_NONE, send_raw(&ice, data, size, &path, START + i * SECOND, out, &answer));
        CHECK(answer.path_added);
        /* The same priority from the same candidate, but to another address of ours: no rebinding. */
        CHECK_EQ(i == 0, answer.selected_changed);
    }
    CHECK_EQ(4, ice.path_count);
}

/* ------------------------------------------------------------------ how many */

static void the_oldest_makes_room(void)
{
    tr_ice ice = new_ice();
    for (uint16_t port = 1; port <= 8; port++) check_from(&ice, port, 100u - port, port <= 3, START + port * MS);
    CHECK_EQ(8, ice.path_count);
    CHECK_EQ(1, selected_port(&ice));
    check_from(&ice, 4, 96, false, START + 10 * MS); /* 4 is young again */
    static const uint16_t VICTIMS[] = {5, 6, 7, 8, 4};
    for (uint16_t i = 0; i < 5; i++) {
        tr_ice_answer answer = check_from(&ice, 20 + i, 10, true, START + (20 + i) * MS);
        CHECK(answer.path_added && answer.path_removed);
        CHECK_EQ(VICTIMS[i], answer.removed.remote.port);
        CHECK_EQ(20 + i, answer.added.remote.port);
        CHECK_EQ(8, ice.path_count);
    }
    /* All are nominated now: the oldest that is not selected goes. */
    tr_ice_answer answer = check_from(&ice, 30, 10, false, START + 30 * MS);
    CHECK_EQ(2, answer.removed.remote.port);
    answer = check_from(&ice, 31, 10, false, START + 31 * MS); /* and the newcomer, if it is not */
    CHECK_EQ(30, answer.removed.remote.port);
    CHECK_EQ(1, selected_port(&ice));
}

/* Ten thousand source ports, nominating or not: eight paths at most, each one reported, the selected one never evicted,
 * switches at least 200 ms apart. */
static void ten_thousand_source_ports_change_little(void)
{
    for (int kind = 0; kind < 4; kind++) {
        tr_ice ice = new_ice();
        uint64_t state = (uint64_t)kind, now_us = START, switched_us = 0;
        uint32_t known[TR_ICE_MAX_PATHS] = {0}, count = 0, switches = 0;
        check_from(&ice, 1, 1000, true, now_us);
        known[count++] = 1;
        for (uint32_t i = 0; i < 10000; i++) {
            now_us += kind & 1 ? 200 : 20 * MS;
            uint16_t port = (uint16_t)(2 + i);
            int before = selected_port(&ice);
            bool use_candidate = kind & 2 ? true : check_random(&state) & 1;
            tr_ice_answer answer =
                check_from(&ice, port, 1000 + (uint32_t)(check_random(&state) % 3), use_candidate, now_us);
            if (answer.path_removed) {
                CHECK(answer.removed.remote.port != before);
                for (uint32_t k = 0; k < count; k++)
                    if (known[k] == answer.removed.remote.port) known[k] = known[--count];
            }
            if (answer.path_added) known[count++] = answer.added.remote.port;
            CHECK_EQ(ice.path_count, count);
            CHECK(count <= TR_ICE_MAX_PATHS);
            if (answer.selected_changed) {
                if (switches++) CHECK(now_us - switched_us >= TR_ICE_SWITCH_US);
                switched_us = now_us;
            }
            if (i % 5 == 0) check_from(&ice, (uint16_t)selected_port(&ice), 1001, true, now_us);
        }
        CHECK_EQ(TR_ICE_MAX_PATHS, count);
        for (uint32_t k = 0; k < count; k++) {
            bool is_there = false;
            for (uint32_t p = 0; p < ice.path_count; p++) is_there |= ice.paths[p].path.remote.port == known[k];
            CHECK(is_there);
        }
    }
}

/* Random checks on a handful of paths for an hour: whatever comes, the rules hold. */
static void random_checks_keep_the_rules(void)
{
    uint64_t state = 20;
    for (int round = 0; round < 20; round++) {
        tr_ice ice = new_ice();
        uint64_t now_us = START, switched_us = 0;
        for (int i = 0; i < 2000; i++) {
            now_us += check_random(&state) % (round & 1 ? 100 * MS : 3 * SECOND);
            int was = ice.selected;
            bool was_alive = was >= 0 && now_us - ice.paths[was].checked_us <= TR_ICE_DEAD_US;
            uint16_t port = (uint16_t)(1 + check_random(&state) % 12);
            tr_ice_answer answer =
                check_from(&ice, port, 1 + (uint32_t)(check_random(&state) % 4), check_random(&state) & 1, now_us);
            CHECK(ice.path_count <= TR_ICE_MAX_PATHS);
            CHECK_EQ(ice.selected != was, answer.selected_changed);
            if (!answer.selected_changed) continue;
            const tr_ice_path *p = &ice.paths[ice.selected];
            CHECK(now_us - p->checked_us <= TR_ICE_DEAD_US);
            if (was < 0 || was_alive) CHECK(p->is_nominated);
            if (was >= 0 && was_alive) CHECK(now_us - switched_us >= TR_ICE_SWITCH_US);
            switched_us = now_us;
        }
    }
}

/* ------------------------------------------------------------------ consent */

static void consent_runs_out(void)
{
    tr_ice ice = new_ice();
    const uint64_t timeout = 30 * SECOND;
    CHECK(!tr__ice_has_consent(&ice, 0, timeout));
    CHECK(!tr__ice_has_consent(&ice, START, timeout));
    check_from(&ice, 1, 100, true, START);
    CHECK(tr__ice_has_consent(&ice, START, timeout));
    CHECK(tr__ice_has_consent(&ice, START + timeout - 1, timeout));
    CHECK(!tr__ice_has_consent(&ice, START + timeout, timeout));
    check_from(&ice, 2, 10, false, START + 20 * SECOND); /* any path renews it */
    CHECK(tr__ice_has_consent(&ice, START + 50 * SECOND - 1, timeout));
    CHECK(!tr__ice_has_consent(&ice, START + 50 * SECOND, timeout));
    check_from(&ice, 1, 100, false, START + 100 * SECOND); /* and revives it */
    CHECK(tr__ice_has_consent(&ice, START + 101 * SECOND, timeout));
    CHECK(tr__ice_has_consent(&ice, START, timeout)); /* a clock read a moment earlier */
}

static void what_is_not_authentic_renews_nothing(void)
{
    tr_ice ice = new_ice();
    check_from(&ice, 1, 100, true, START);
    uint8_t data[256], out[TR_STUN_MAX_RESPONSE];
    tr_path path = path_from(1);
    tr_ice_answer answer;
    size_t size = make_request(data, sizeof data, "relay:peer", "guess", 100, true);
    CHECK_EQ(TR_DROP_STUN_INTEGRITY, send_raw(&ice, data, size, &path, START + 29 * SECOND, out, &answer));
    size = make_message(data, 0x0101, PRIORITY_7, 8, BOTH); /* a response, even with the right password */
    CHECK_EQ(TR_DROP_STUN_UNEXPECTED, send_raw(&ice, data, size, &path, START + 29 * SECOND, out, &answer));
    CHECK(!tr__ice_has_consent(&ice, START + 30 * SECOND, 30 * SECOND));
}

static void a_clock_that_begins_at_zero_is_no_trap(void)
{
    tr_ice ice = new_ice();
    check_from(&ice, 1, 100, true, 0);
    CHECK_EQ(1, selected_port(&ice));
    CHECK(tr__ice_has_consent(&ice, 0, SECOND));
    CHECK(!tr__ice_has_consent(&ice, SECOND + 1, SECOND));
}

static void credentials_of_every_length_are_kept(void)
{
    char ufrag[257], pwd[300];
    memset(ufrag, 'u', sizeof ufrag);
    memset(pwd, 'p', sizeof pwd);
    ufrag[32] = pwd[64] = 0;
    tr_ice ice;
    tr__ice_init(&ice, ufrag, pwd);
    CHECK_STR(ufrag, ice.now.local_ufrag);
    CHECK_STR(pwd, ice.now.local_pwd);
    ufrag[32] = pwd[64] = 'x';
    ufrag[256] = pwd[256] = 0;
    tr__ice_set_remote(&ice, ufrag, pwd);
    CHECK_STR(ufrag, ice.now.remote_ufrag);
    CHECK_STR(pwd, ice.now.remote_pwd);
    pwd[256] = 'p';
    pwd[299] = 0;
    tr__ice_set_remote(&ice, "short", pwd); /* too long is cut, not overrun; and nothing of the old one stays */
    CHECK_STR("short", ice.now.remote_ufrag);
    CHECK_EQ(256, strlen(ice.now.remote_pwd));
}

/* A check of one session: which credentials, from which port. */
static tr_ice_answer check_of(tr_ice *ice, const char *username, const char *password, uint16_t port,
                              bool use_candidate, uint64_t now_us, tr_drop expected)
{
    uint8_t data[256], out[TR_STUN_MAX_RESPONSE];
    tr_path path = path_from(port);
    tr_ice_answer answer;
    size_t size = make_request(data, sizeof data, username, password, 100, use_candidate);
    CHECK_EQ(expected, send_raw(ice, data, size, &path, now_us, out, &answer));
    return answer;
}

static void a_restart_keeps_the_old_path_until_the_new_one_is_nominated(void)
{
    static const char NEXT[] = "relay2", NEXT_PWD[] = "another-password-of-ours";
    tr_ice ice = new_ice();
    check_from(&ice, 1, 100, true, START);
    check_from(&ice, 2, 90, false, START);
    tr__ice_restart(&ice, NEXT, NEXT_PWD);
    CHECK_EQ(1, selected_port(&ice));
    /* The old session goes on: its checks are answered and renew consent. */
    check_from(&ice, 1, 100, true, START + 20 * SECOND);
    CHECK(tr__ice_has_consent(&ice, START + 45 * SECOND, 30 * SECOND));
    CHECK_EQ(1, selected_port(&ice));
    /* The new one is not nominated yet. */
    tr__ice_set_remote(&ice, "peer2", "their-other-password-here");
    tr_ice_answer answer = check_of(&ice, "relay2:peer2", NEXT_PWD, 3, false, START + 21 * SECOND, TR_DROP_NONE);
    CHECK(answer.path_added && !answer.is_restarted);
    CHECK_EQ(1, selected_port(&ice));
    /* The two sessions' words do not mix. */
    check_of(&ice, "relay2:peer2", PWD, 3, true, START + 21 * SECOND, TR_DROP_STUN_INTEGRITY);
    check_of(&ice, "relay2:peer", NEXT_PWD, 3, true, START + 21 * SECOND, TR_DROP_STUN_INTEGRITY);
    check_of(&ice, "relay:peer2", PWD, 1, true, START + 21 * SECOND, TR_DROP_STUN_INTEGRITY);
    answer = check_of(&ice, "relay2:peer2", NEXT_PWD, 3, true, START + 22 * SECOND, TR_DROP_NONE);
    CHECK(answer.is_restarted && answer.selected_changed);
    CHECK_STR("relay", answer.voided_ufrag);
    CHECK_EQ(2, answer.voided_count);
    CHECK_EQ(3, selected_port(&ice));
    CHECK_EQ(1, ice.path_count);
    /* The old session is over. */
    check_of(&ice, "relay:peer", PWD, 1, true, START + 23 * SECOND, TR_DROP_STUN_INTEGRITY);
    CHECK_EQ(3, selected_port(&ice));
}

static void a_restart_on_the_same_path_keeps_it(void)
{
    tr_ice ice = new_ice();
    check_from(&ice, 1, 100, true, START);
    tr__ice_restart(&ice, "relay2", "another-password-of-ours");
    tr_ice_answer answer =
        check_of(&ice, "relay2:peer2", "another-password-of-ours", 1, true, START + SECOND, TR_DROP_NONE);
    CHECK(answer.is_restarted);
    CHECK_EQ(0, answer.voided_count);
    CHECK_EQ(1, selected_port(&ice));
}

static void a_second_restart_replaces_the_first(void)
{
    tr_ice ice = new_ice();
    check_from(&ice, 1, 100, true, START);
    tr__ice_restart(&ice, "relay2", "another-password-of-ours");
    tr__ice_restart(&ice, "relay3", "a-third-password-of-ours");
    check_of(&ice, "relay2:peer2", "another-password-of-ours", 4, true, START, TR_DROP_STUN_INTEGRITY);
    check_from(&ice, 1, 100, true, START + SECOND);
    CHECK_EQ(1, selected_port(&ice));
    CHECK(
        check_of(&ice, "relay3:peer3", "a-third-password-of-ours", 4, true, START + SECOND, TR_DROP_NONE).is_restarted);
    CHECK_EQ(4, selected_port(&ice));
}

static const check_test TESTS[] = {
    TEST(a_restart_keeps_the_old_path_until_the_new_one_is_nominated),
    TEST(a_restart_on_the_same_path_keeps_it),
    TEST(a_second_restart_replaces_the_first),
    TEST(only_the_right_credentials_are_answered),
    TEST(the_answer_says_where_the_check_came_from),
    TEST(messages_are_answered_or_not),
    TEST(an_answer_larger_than_its_request_is_not_sent),
    TEST(a_changed_byte_is_answered_with_silence),
    TEST(a_path_is_used_once_it_is_nominated),
    TEST(paths_are_selected_by_the_script),
    TEST(retransmissions_do_not_insist),
    TEST(paths_to_our_other_addresses_are_paths_of_their_own),
    TEST(the_oldest_makes_room),
    TEST(ten_thousand_source_ports_change_little),
    TEST(random_checks_keep_the_rules),
    TEST(consent_runs_out),
    TEST(what_is_not_authentic_renews_nothing),
    TEST(a_clock_that_begins_at_zero_is_no_trap),
    TEST(credentials_of_every_length_are_kept),
};
CHECK_MAIN("test_ice", TESTS)
