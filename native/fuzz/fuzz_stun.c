/* fuzz_stun: any bytes as a message; and, with the fuzzer's bytes as its fields, a message of our own that must be read
 * back. A message that is not ours never verifies: the password is not in the corpus. */
#include "stun.h"

#include <stdlib.h>

static void require(bool condition)
{
    if (!condition) abort();
}

static const char PASSWORD[] = "nobody knows this one";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tr_stun stun;
    size_t ufrag_size;
    if (tr__stun_parse(&stun, data, size) == TR_DROP_NONE) {
        const uint8_t *ufrag = tr__stun_local_ufrag(&stun, &ufrag_size);
        require(!ufrag == (ufrag_size == 0));
        if (ufrag) require(ufrag >= data + 24 && ufrag + ufrag_size < data + size);
        if (stun.username) require(stun.username + stun.username_size <= data + size);
        if (stun.integrity_at) require(stun.integrity_at + 24u <= size);
        tr__stun_check_fingerprint(&stun);
        require(!tr__stun_verify(&stun, PASSWORD, strlen(PASSWORD)));
    }
    if (size < 32) return 0;

    char username[65] = {0};
    for (size_t i = 0; i < 64 && i + 32 < size && data[i + 32]; i++) username[i] = (char)data[i + 32];
    uint8_t out[256];
    size_t written = tr__stun_write_request(out, sizeof out, data, username, tr__load32(data + 12), data[16] & 1,
                                            tr__load64(data + 17), PASSWORD, data[25] % sizeof PASSWORD);
    require(written > 0 && tr__stun_parse(&stun, out, written) == TR_DROP_NONE);
    require(tr__stun_verify(&stun, PASSWORD, data[25] % sizeof PASSWORD) && tr__stun_check_fingerprint(&stun));
    require(stun.username_size == strlen(username) && memcmp(stun.username, username, stun.username_size) == 0);
    require(stun.priority == tr__load32(data + 12) && stun.use_candidate == (data[16] & 1));
    written = tr__stun_write_success(out, sizeof out, data, data[26] & 1 ? 4 : 6, data + 16, tr__load16(data + 14),
                                     PASSWORD, 5);
    require(written > 0 && written <= TR_STUN_MAX_RESPONSE);
    require(tr__stun_parse(&stun, out, written) == TR_DROP_NONE && tr__stun_check_fingerprint(&stun));
    written = tr__stun_write_error(out, sizeof out, data, tr__load16(data + 28), tr__load16(data + 30), PASSWORD, 5);
    require(written <= TR_STUN_MAX_RESPONSE);
    return 0;
}
