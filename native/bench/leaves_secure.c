/* leaves of security: ciphers, SRTP, STUN and ICE, the gate before DTLS, and the way out behind SRTP, each in a loop;
 * see leaves.h. One thread. */
#include <stdlib.h>

#include "dtls_gate.h"
#include "egress.h"
#include "ice.h"
#include "leaf_inputs.h"
#include "leaves.h"
#include "srtp.h"

#define PASSWORD "relaypassword0123456789"
#define USERNAME "relay001:peer0001"
#define CIPHER_BYTES 1140 /* of a video packet, what is enciphered */

static const uint8_t key[32] = "a master key of thirty-two bytes", salt[14] = "and its salt.";
static packet video[INPUTS], compounds[INPUTS], checks[INPUTS];
static tr_stun views[INPUTS];
static packet sealed[MAX_PREPARED]; /* by the prepare of a run that opens */

/* ------------------------------------------------------------------ ciphers alone */

typedef struct cipher {
    tr_crypto *crypto;
    tr_gcm_key *gcm;
    tr_cm_key *cm;
} cipher;

static cipher with_openssl, with_ipsec_mb;

static void make_cipher(cipher *c, int kind)
{
    c->crypto = tr__crypto_new(kind);
    if (!c->crypto) return;
    c->gcm = tr__gcm_new(c->crypto, key, 16);
    c->cm = tr__cm_new(c->crypto, key, key, 20);
}

static uint64_t seal_gcm(const cipher *c, uint32_t iterations)
{
    uint8_t iv[12] = {0}, tag[16] = {0};
    if (!c->gcm) return 0;
    for (uint32_t i = 0; i < iterations; i++) {
        tr__store32(iv + 8, i);
        tr__gcm_seal(c->gcm, iv, video[AT(i)].data, 28, video[AT(i)].data + 28, CIPHER_BYTES - (size_t)AT(i), tag);
    }
    return 1u + tag[0];
}

static uint64_t xor_cm(const cipher *c, uint32_t iterations)
{
    uint8_t iv[16] = {0};
    if (!c->cm) return 0;
    for (uint32_t i = 0; i < iterations; i++) {
        tr__store32(iv + 8, i);
        tr__cm_xor(c->cm, iv, video[AT(i)].data + 28, CIPHER_BYTES - (size_t)AT(i));
    }
    return 1u + video[0].data[28];
}

uint64_t bench_cipher_gcm128_ipsec_mb(uint32_t iterations) { return seal_gcm(&with_ipsec_mb, iterations); }
uint64_t bench_cipher_gcm128_openssl(uint32_t iterations) { return seal_gcm(&with_openssl, iterations); }
uint64_t bench_cipher_cm_ipsec_mb(uint32_t iterations) { return xor_cm(&with_ipsec_mb, iterations); }
uint64_t bench_cipher_cm_openssl(uint32_t iterations) { return xor_cm(&with_openssl, iterations); }

/* HMAC-SHA1 of a packet, with the rollover counter behind it. */
uint64_t bench_crypto_mac(uint32_t iterations)
{
    uint64_t sum = 1;
    uint8_t mac[20];
    static const uint8_t rollover[4] = {0};
    for (uint32_t i = 0; i < iterations; i++) {
        if (!tr__cm_mac(with_openssl.cm, video[AT(i)].data, video[AT(i)].size, rollover, mac)) return 0;
        sum += mac[0];
    }
    return sum;
}

/* ------------------------------------------------------------------ SRTP */

typedef struct session {
    tr_srtp *ours, *theirs;  /* ours seals, theirs opens */
    uint64_t sealed, opened; /* the next index of each: a receiver does not follow a jump of several rollovers */
} session;

static session gcm128_ipsec_mb, gcm128_openssl, cm_ipsec_mb, cm_openssl, rtcp;

static void make_session(session *s, const cipher *c, tr_srtp_profile profile)
{
    if (!c->crypto) return;
    s->ours = tr__srtp_new(c->crypto, profile, key, salt, key, salt);
    s->theirs = tr__srtp_new(c->crypto, profile, key, salt, key, salt);
    if (!s->ours || !s->theirs) abort();
}

/* What is sealed is sealed again: the bytes of a payload are any bytes, and its size stays what it was. */
static uint64_t seal(session *s, uint32_t iterations)
{
    uint64_t sum = 0;
    if (!s->ours) return 0;
    for (uint32_t i = 0; i < iterations; i++, s->sealed++) {
        packet *p = &video[AT(i)];
        tr__store16(p->data + 2, (uint16_t)s->sealed);
        size_t size = tr__srtp_seal_rtp(s->ours, p->data, p->size, s->sealed);
        if (!size) return 0;
        sum += size;
    }
    return sum;
}

static void prepare_open(session *s, uint32_t iterations)
{
    if (!s->ours) return;
    for (uint32_t i = 0; i < iterations && i < MAX_PREPARED; i++, s->opened++) {
        sealed[i] = video[AT(i)];
        tr__store16(sealed[i].data + 2, (uint16_t)s->opened);
        sealed[i].size = tr__srtp_seal_rtp(s->ours, sealed[i].data, sealed[i].size, s->opened);
    }
}

/* Packets of the session in order, each once. */
static uint64_t open_rtp(session *s, uint32_t iterations)
{
    uint64_t sum = 1, index;
    if (!s->theirs) return 0;
    for (uint32_t i = 0; i < iterations; i++) {
        size_t size = sealed[i].size;
        if (tr__srtp_open_rtp(s->theirs, sealed[i].data, &size, &index) != TR_DROP_NONE) return 0;
        sum += size + index;
    }
    return sum;
}

#define SEALS_AND_OPENS(session)                                                                                       \
    uint64_t bench_srtp_seal_##session(uint32_t iterations) { return seal(&session, iterations); }                     \
    uint64_t bench_srtp_open_##session(uint32_t iterations) { return open_rtp(&session, iterations); }                 \
    void prepare_open_##session(uint32_t iterations) { prepare_open(&session, iterations); }

SEALS_AND_OPENS(gcm128_ipsec_mb)
SEALS_AND_OPENS(gcm128_openssl)
SEALS_AND_OPENS(cm_ipsec_mb)
SEALS_AND_OPENS(cm_openssl)

/* The packets of the run have been opened already. */
void prepare_replay(uint32_t iterations)
{
    prepare_open(&gcm128_openssl, iterations);
    open_rtp(&gcm128_openssl, iterations);
}

uint64_t bench_srtp_open_replay(uint32_t iterations)
{
    uint64_t sum = 0, index;
    for (uint32_t i = 0; i < iterations; i++) {
        size_t size = sealed[i].size;
        if (tr__srtp_open_rtp(gcm128_openssl.theirs, sealed[i].data, &size, &index) != TR_DROP_SRTP_REPLAY) return 0;
        sum += size;
    }
    return sum;
}

uint64_t bench_srtp_seal_rtcp(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        size_t size = tr__srtp_seal_rtcp(rtcp.ours, compounds[AT(i)].data, compounds[AT(i)].size);
        if (!size) return 0;
        sum += size;
    }
    return sum;
}

void prepare_open_rtcp(uint32_t iterations)
{
    for (uint32_t i = 0; i < iterations && i < MAX_PREPARED; i++) {
        sealed[i] = compounds[AT(i)];
        sealed[i].size = tr__srtp_seal_rtcp(rtcp.ours, sealed[i].data, sealed[i].size);
    }
}

uint64_t bench_srtp_open_rtcp(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        size_t size = sealed[i].size;
        if (tr__srtp_open_rtcp(rtcp.theirs, sealed[i].data, &size) != TR_DROP_NONE) return 0;
        sum += size;
    }
    return sum;
}

/* All keys of one direction. OpenSSL allocates here, as it does when a transport connects. */
uint64_t bench_srtp_derive(uint32_t iterations)
{
    uint64_t sum = 1;
    for (uint32_t i = 0; i < iterations; i++) {
        tr_srtp_keys keys;
        uint8_t master[32];
        memcpy(master, key, sizeof master);
        master[0] = (uint8_t)i;
        if (!tr__srtp_derive(TR_SRTP_AEAD_AES_128_GCM, master, salt, &keys)) return 0;
        sum += keys.rtp_key[0];
    }
    return sum;
}

/* ------------------------------------------------------------------ the way out */

static tr_tally tally;
static tr_outbox outbox;
static tr_egress egress;
static uint64_t out_index;

/* A slot, the packet sealed in it, into the outbox; the copy is the sender's and not made here. */
uint64_t bench_egress_media(uint32_t iterations)
{
    for (uint32_t i = 0; i < iterations; i++, out_index++) {
        uint8_t *slot;
        if (tr__egress_reserve_media(&egress, &slot) != TR_DROP_NONE) return 0;
        memcpy(slot, video[AT(i)].data, 28);
        tr__store16(slot + 2, (uint16_t)out_index);
        if (tr__egress_seal_media(&egress, slot, video[AT(i)].size, out_index) != TR_DROP_NONE) return 0;
        if (outbox.count == 128) tr__outbox_clear(&outbox);
    }
    tr__outbox_clear(&outbox);
    return egress.tx_packets;
}

/* ------------------------------------------------------------------ STUN and ICE */

uint64_t bench_stun_parse(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        tr_stun stun;
        if (tr__stun_parse(&stun, checks[AT(i)].data, checks[AT(i)].size) != TR_DROP_NONE) return 0;
        sum += stun.priority;
    }
    return sum;
}

uint64_t bench_stun_verify(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        if (!tr__stun_verify(&views[AT(i)], PASSWORD, sizeof PASSWORD - 1)) return 0;
        sum++;
    }
    return sum;
}

uint64_t bench_stun_fingerprint(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        if (!tr__stun_check_fingerprint(&views[AT(i)])) return 0;
        sum++;
    }
    return sum;
}

uint64_t bench_stun_answer(uint32_t iterations)
{
    static const uint8_t ip[4] = {192, 0, 2, 1};
    uint64_t sum = 0;
    uint8_t out[TR_STUN_MAX_RESPONSE];
    for (uint32_t i = 0; i < iterations; i++) {
        size_t size = tr__stun_write_success(out, sizeof out, views[AT(i)].transaction, 4, ip, (uint16_t)(20000 + i),
                                             PASSWORD, sizeof PASSWORD - 1);
        if (!size) return 0;
        sum += size;
    }
    return sum;
}

static tr_ice ice;
static uint64_t ice_us = 1000000;

/* A check on the selected path or on a second one, verified and answered: what keeps consent. */
uint64_t bench_ice_check(uint32_t iterations)
{
    static const tr_path paths[2] = {{.remote = {.family = 4, .ip = {192, 0, 2, 1}, .port = 20000}},
                                     {.remote = {.family = 4, .ip = {192, 0, 2, 1}, .port = 20001}}};
    uint64_t sum = 0;
    uint8_t out[TR_STUN_MAX_RESPONSE];
    for (uint32_t i = 0; i < iterations; i++) {
        tr_ice_answer answer;
        ice_us += 500000;
        if (tr__ice_on_stun(&ice, &views[AT(i)], &paths[AT(i) == 3], ice_us, out, sizeof out, &answer) != TR_DROP_NONE)
            return 0;
        sum += answer.size;
    }
    return sum;
}

/* The text of an address, for a log or a list: never for a packet. */
uint64_t bench_address_text(uint32_t iterations)
{
    uint64_t sum = 0;
    char text[64];
    for (uint32_t i = 0; i < iterations; i++) {
        tr_address address = {.family = AT(i) < 6 ? 4 : 6, .ip = {192, 0, 2, (uint8_t)i}, .port = (uint16_t)i};
        tr__address_text(&address, text, sizeof text);
        sum += (uint8_t)text[0];
    }
    return sum;
}

/* ------------------------------------------------------------------ the gate before DTLS */

enum { FLIGHT = 4 };
static packet flight[FLIGHT]; /* a client's: hello; certificate; key exchange and verification; change of cipher */

static void put_message(packet *p, uint8_t type, uint16_t number, uint32_t size)
{
    uint8_t *record = p->data + p->size, *message = record + TR_DTLS_RECORD_HEADER;
    record[0] = TR_DTLS_HANDSHAKE_RECORD;
    tr__store16(record + 1, 0xfefd);
    tr__store16(record + 11, (uint16_t)(12 + size));
    message[0] = type;
    tr__store24(message + 1, size);
    tr__store16(message + 4, number);
    tr__store24(message + 9, size);
    p->size += TR_DTLS_RECORD_HEADER + 12 + size;
}

static void make_flight(void)
{
    put_message(&flight[0], 1, 0, 180);
    put_message(&flight[1], 11, 1, 320);
    put_message(&flight[2], 16, 2, 66);
    put_message(&flight[2], 15, 3, 75);
    static const uint8_t change[] = {TR_DTLS_CCS, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1};
    memcpy(flight[3].data, change, sizeof change);
    flight[3].size = sizeof change;
}

/* One datagram of a client's handshake; the gate begins anew with each hello. */
uint64_t bench_dtls_gate(uint32_t iterations)
{
    uint64_t sum = 0;
    tr_dtls_gate gate;
    for (uint32_t i = 0; i < iterations; i++) {
        const packet *p = &flight[i % FLIGHT];
        bool is_first = i % FLIGHT == 0;
        if (is_first) tr__dtls_gate_init(&gate, false);
        tr_cursor datagram = tr__cursor(p->data, p->size);
        tr_dtls_record record;
        while (tr__dtls_next_record(&datagram, &record)) {
            if (tr__dtls_gate_clear(&gate, &record, is_first) != TR_DROP_NONE) return 0;
            sum += record.size;
        }
        if (!tr__cursor_ok(&datagram)) return 0;
    }
    return sum;
}

/* ------------------------------------------------------------------ before all */

__attribute__((constructor)) static void make_state(void)
{
    for (uint16_t i = 0; i < INPUTS; i++) {
        video[i] = make_video(i);
        compounds[i] = make_compound(i);
        checks[i] = make_check(i, USERNAME, PASSWORD);
        if (tr__stun_parse(&views[i], checks[i].data, checks[i].size) != TR_DROP_NONE) abort();
    }
    make_flight();
    make_cipher(&with_openssl, TR_CRYPTO_OPENSSL);
    make_cipher(&with_ipsec_mb, TR_CRYPTO_IPSEC_MB);
    make_session(&gcm128_ipsec_mb, &with_ipsec_mb, TR_SRTP_AEAD_AES_128_GCM);
    make_session(&gcm128_openssl, &with_openssl, TR_SRTP_AEAD_AES_128_GCM);
    make_session(&cm_ipsec_mb, &with_ipsec_mb, TR_SRTP_AES128_CM_SHA1_80);
    make_session(&cm_openssl, &with_openssl, TR_SRTP_AES128_CM_SHA1_80);
    const cipher *best = with_ipsec_mb.crypto ? &with_ipsec_mb : &with_openssl; /* what a worker takes by itself */
    make_session(&rtcp, best, TR_SRTP_AEAD_AES_128_GCM);
    static session out;
    make_session(&out, best, TR_SRTP_AEAD_AES_128_GCM);
    if (tr__outbox_init(&outbox, 512) != TR_OK) abort();
    egress = (tr_egress){
        .outbox = &outbox, .tally = &tally, .srtp = out.ours, .owner = 7, .has_path = true, .is_admitted = true};
    tr__ice_init(&ice, "relay001", PASSWORD);
    tr__ice_set_remote(&ice, "peer0001", "peerpassword01234567890");
}
