/* dtls_gate: judges DTLS records before OpenSSL sees them; see dtls_gate.h.
 * Pure. Worker thread. */
#include "dtls_gate.h"

#define MESSAGE_HEADER 12

/* All messages of one handshake together: a certificate of the longest kind and all that goes with it. */
#define MAX_CLAIMED (32 * 1024)

enum {
    CLIENT_HELLO = 1,
    SERVER_HELLO = 2,
    HELLO_VERIFY_REQUEST = 3,
    CERTIFICATE = 11,
    SERVER_KEY_EXCHANGE = 12,
    CERTIFICATE_REQUEST = 13,
    SERVER_HELLO_DONE = 14,
    CERTIFICATE_VERIFY = 15,
    CLIENT_KEY_EXCHANGE = 16
};

/* What a peer may send in the clear, and how long. OpenSSL sets memory aside for the length a fragment claims. */
static const struct message_rule {
    uint8_t type;
    bool from_server;
    uint32_t max;
} rules[] = {
    {CLIENT_HELLO, false, 4096},        /* browsers send 1,400 bytes with a post-quantum key share */
    {CERTIFICATE, false, 16384},        /* A12; browsers send one of 300 to 900 bytes */
    {CLIENT_KEY_EXCHANGE, false, 1024}, /* one point of at most 133 bytes */
    {CERTIFICATE_VERIFY, false, 2048},  /* a signature: 512 bytes with RSA-4096 */
    {HELLO_VERIFY_REQUEST, true, 512},  /* a cookie of at most 255 bytes */
    {SERVER_HELLO, true, 1024},         /* a random, a session id, a few extensions */
    {CERTIFICATE, true, 16384},         /* as a client's */
    {SERVER_KEY_EXCHANGE, true, 2048},  /* a point and a signature */
    {CERTIFICATE_REQUEST, true, 4096},  /* lists of algorithms and names */
    {SERVER_HELLO_DONE, true, 0},
};

void tr__dtls_gate_init(tr_dtls_gate *gate, bool is_client) { *gate = (tr_dtls_gate){.is_client = is_client}; }

bool tr__dtls_next_record(tr_cursor *datagram, tr_dtls_record *record)
{
    if (!tr__cursor_left(datagram)) return false;
    record->data = datagram->at;
    record->type = tr__take8(datagram);
    uint16_t version = tr__take16(datagram);
    record->epoch = tr__take16(datagram);
    record->sequence = (uint64_t)tr__take16(datagram) << 32;
    record->sequence |= tr__take32(datagram);
    uint16_t size = tr__take16(datagram);
    tr__take(datagram, size);
    record->size = TR_DTLS_RECORD_HEADER + (size_t)size;
    /* A ClientHello comes under version 1.0, all that follows under 1.2 (RFC 6347, 4.2.1). */
    bool is_known =
        record->type >= TR_DTLS_CCS && record->type <= TR_DTLS_DATA && (version == 0xfeff || version == 0xfefd);
    if (!is_known) datagram->failed = true;
    return tr__cursor_ok(datagram);
}

static const struct message_rule *rule_of(bool from_server, uint8_t type)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].type == type && rules[i].from_server == from_server) return &rules[i];
    return NULL;
}

/* One message or fragment of one. */
static tr_drop judge_message(tr_dtls_gate *gate, tr_cursor *c, bool is_first)
{
    uint8_t type = tr__take8(c);
    uint32_t length = tr__take24(c);
    uint16_t number = tr__take16(c);
    uint32_t offset = tr__take24(c), size = tr__take24(c);
    tr__take(c, size);
    if (!tr__cursor_ok(c) || offset > length || size > length - offset) return TR_DROP_DTLS_MALFORMED;
    const struct message_rule *rule = rule_of(gate->is_client, type);
    if (!rule) return TR_DROP_DTLS_STATE;
    if (is_first && type != CLIENT_HELLO) return TR_DROP_DTLS_STATE;
    if (length > rule->max || number >= TR_DTLS_MAX_MESSAGES) return TR_DROP_DTLS_LIMIT;

    uint32_t claim = (uint32_t)type << 24 | length;
    uint16_t bit = (uint16_t)(1u << number);
    if (gate->has_claim & bit) {
        if (gate->claimed[number] == claim) return TR_DROP_NONE;
        gate->has_rival_hello = type == CLIENT_HELLO;
        return TR_DROP_DTLS_MALFORMED;
    }
    if (gate->claimed_bytes + length > MAX_CLAIMED) return TR_DROP_DTLS_LIMIT;
    gate->has_claim |= bit;
    gate->claimed[number] = claim;
    gate->claimed_bytes += length;
    return TR_DROP_NONE;
}

tr_drop tr__dtls_gate_clear(tr_dtls_gate *gate, const tr_dtls_record *record, bool is_first)
{
    gate->has_rival_hello = false;
    tr_cursor c = tr__cursor(record->data + TR_DTLS_RECORD_HEADER, record->size - TR_DTLS_RECORD_HEADER);
    if (record->type == TR_DTLS_CCS) {
        if (is_first) return TR_DROP_DTLS_STATE;
        return tr__cursor_left(&c) == 1 && tr__take8(&c) == 1 ? TR_DROP_NONE : TR_DROP_DTLS_MALFORMED;
    }
    /* An alert here may be anyone's, and one forged datagram would end the handshake. A peer that really gives up
     * falls silent, and the caller's own limit ends what nobody goes on with. */
    if (record->type != TR_DTLS_HANDSHAKE_RECORD) return TR_DROP_DTLS_STATE;
    if (!tr__cursor_left(&c)) return TR_DROP_DTLS_MALFORMED;
    while (tr__cursor_left(&c)) {
        if (tr__cursor_left(&c) < MESSAGE_HEADER) return TR_DROP_DTLS_MALFORMED;
        tr_drop drop = judge_message(gate, &c, is_first);
        if (drop != TR_DROP_NONE) return drop;
    }
    return TR_DROP_NONE;
}
