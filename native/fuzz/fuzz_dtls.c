/* fuzz dtls: any bytes as datagrams to a server that waits, to a client that has opened, and into a call that is on.
 * Input: one byte of choices, then datagrams, each behind two bytes of size. A call must not be disturbed. */
#include <stdlib.h>

#include "dtls.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) abort();
}

static size_t move(tr_dtls *from, tr_dtls *to)
{
    uint8_t data[TR_MAX_DATAGRAM];
    size_t size, count = 0;
    while ((size = tr__dtls_next(from, data, sizeof data))) {
        tr_drop drop;
        must(size <= TR_DTLS_MAX_DATAGRAM);
        if (to) tr__dtls_receive(to, data, size, &drop);
        count++;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tr_certificate certificate;
    static tr_dtls_context *context;
    static tr_dtls *call, *other; /* one call that outlives all inputs */
    if (!context) {
        must(tr_certificate_make(&certificate) == TR_OK);
        context = tr__dtls_context_new(&certificate);
        call = tr__dtls_new(context, false);
        other = tr__dtls_new(context, true);
        tr_fingerprint f = {.size = 32};
        for (size_t i = 0; i < 32; i++) f.bytes[i] = (uint8_t)strtoul(certificate.fingerprint + 3 * i, NULL, 16);
        tr__dtls_set_fingerprints(call, &f, 1);
        tr__dtls_start(other);
        while (move(other, call) + move(call, other)) continue;
        must(tr__dtls_state_of(call) == TR_DTLS_CONNECTED);
    }
    tr_cursor c = tr__cursor(data, size);
    uint8_t choice = tr__take8(&c) % 3;
    tr_dtls *dtls = choice == 2 ? call : tr__dtls_new(context, choice == 1);
    must(dtls != NULL);
    tr__dtls_start(dtls);
    while (tr__cursor_left(&c)) {
        size_t length = tr__take16(&c), left = tr__cursor_left(&c);
        if (length > left) length = left;
        if (length > TR_MAX_DATAGRAM) length = TR_MAX_DATAGRAM;
        const uint8_t *datagram = tr__take(&c, length);
        if (!datagram) break;
        tr_drop drop;
        tr_dtls_state state = tr__dtls_receive(dtls, datagram, length, &drop);
        must(choice == 2 ? state == TR_DTLS_CONNECTED : state != TR_DTLS_CONNECTED && state != TR_DTLS_UNVERIFIED);
        must(move(dtls, NULL) == 0 || choice != 2);
        must(tr__dtls_read(dtls, (uint8_t[16]){0}, 16) == 0);
        tr__dtls_on_timer(dtls);
    }
    if (choice != 2) tr__dtls_free(dtls);
    return 0;
}
