/* fuzz_ice: the input is a script of checks against one transport: a byte of flags, a port, a pause, a priority, and
 * the bytes of a raw message when the flags say so. The rules hold after every step. */
#include "ice.h"

#include <stdlib.h>

static void require(bool condition)
{
    if (!condition) abort();
}

static const char PWD[] = "the password of the relay";

enum {
    NOMINATE = 1,
    RAW = 2,
    WRONG_PASSWORD = 4,
    SPOIL = 8,
    OTHER_LOCAL = 16,
    REPEAT = 32,
    SET_REMOTE = 64,
    IPV6 = 128
};

static size_t next_message(tr_cursor *c, uint8_t flags, uint64_t step, uint32_t priority, uint8_t *message, size_t room)
{
    if (flags & RAW) {
        size_t size = tr__take8(c);
        if (size > tr__cursor_left(c)) size = tr__cursor_left(c);
        if (size) memcpy(message, tr__take(c, size), size);
        return size;
    }
    uint8_t transaction[TR_STUN_TRANSACTION] = {0};
    if (!(flags & REPEAT)) tr__store64(transaction, step);
    const char *password = flags & WRONG_PASSWORD ? "a guess" : PWD;
    size_t size = tr__stun_write_request(message, room, transaction, "relay:peer", priority, flags & NOMINATE, 5,
                                         password, strlen(password));
    if (flags & SPOIL) {
        uint16_t at = tr__take16(c);
        uint8_t change = tr__take8(c);
        message[at % size] ^= change;
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    tr_ice ice;
    tr__ice_init(&ice, "relay", PWD);
    uint64_t now_us = 1000000, switched_us = 0, step = 0;
    uint32_t known = 0;
    tr_cursor c = tr__cursor(data, size);
    while (tr__cursor_left(&c) >= 5) {
        uint8_t flags = tr__take8(&c), port = tr__take8(&c);
        now_us += (uint64_t)tr__take16(&c) * 100;
        uint32_t priority = tr__take8(&c);
        if (flags & SET_REMOTE) tr__ice_set_remote(&ice, "peer", "whatever it is");
        tr_path path = {.local = {4, {flags & OTHER_LOCAL ? 2 : 1}, 1}, .remote = {flags & IPV6 ? 6 : 4, {9}, port}};
        uint8_t message[512], out[TR_STUN_MAX_RESPONSE];
        size_t message_size = next_message(&c, flags, ++step, priority, message, sizeof message);

        tr_stun stun;
        tr_ice_answer answer = {0};
        int was = ice.selected;
        bool was_alive = was >= 0 && now_us - ice.paths[was].checked_us <= TR_ICE_DEAD_US;
        tr_drop drop = tr__stun_parse(&stun, message, message_size);
        if (drop == TR_DROP_NONE) drop = tr__ice_on_stun(&ice, &stun, &path, now_us, out, sizeof out, &answer);
        require(answer.size <= message_size);
        if (flags & WRONG_PASSWORD && !(flags & RAW)) require(drop != TR_DROP_NONE);
        if (drop != TR_DROP_NONE)
            require(!answer.size && !answer.path_added && !answer.path_removed && !answer.selected_changed);
        if (drop == TR_DROP_NONE) require(tr__ice_has_consent(&ice, now_us, 1));
        known = known + answer.path_added - answer.path_removed;
        require(known == ice.path_count && known <= TR_ICE_MAX_PATHS);
        require(ice.selected < (int)ice.path_count);
        if (was >= 0 && answer.path_removed) require(ice.selected >= 0);
        require(answer.selected_changed == (ice.selected != was));
        if (!answer.selected_changed) continue;
        if (was_alive) require(now_us - switched_us >= TR_ICE_SWITCH_US && ice.paths[ice.selected].is_nominated);
        switched_us = now_us;
    }
    return 0;
}
