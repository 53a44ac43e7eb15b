/* names: the words of enum tr_drop and enum tr_status, as stats, metrics, docs and tests spell them.
 * Const tables. Any thread. */
#include "telerelay.h"

static const char *const drop_names[TR_DROP_COUNT] = {
    [TR_DROP_NONE] = "none",
    [TR_DROP_SIZE] = "size",
    [TR_DROP_CLASS] = "class",
    [TR_DROP_UNKNOWN_PATH] = "unknown_path",
    [TR_DROP_STUN_MALFORMED] = "stun_malformed",
    [TR_DROP_STUN_UNKNOWN_USER] = "stun_unknown_user",
    [TR_DROP_STUN_INTEGRITY] = "stun_integrity",
    [TR_DROP_STUN_UNEXPECTED] = "stun_unexpected",
    [TR_DROP_STUN_RATE] = "stun_rate",
    [TR_DROP_DTLS_STATE] = "dtls_state",
    [TR_DROP_DTLS_MALFORMED] = "dtls_malformed",
    [TR_DROP_DTLS_LIMIT] = "dtls_limit",
    [TR_DROP_SRTP_NO_KEYS] = "srtp_no_keys",
    [TR_DROP_SRTP_SHORT] = "srtp_short",
    [TR_DROP_SRTP_AUTH] = "srtp_auth",
    [TR_DROP_SRTP_REPLAY] = "srtp_replay",
    [TR_DROP_SRTP_SSRC_LIMIT] = "srtp_ssrc_limit",
    [TR_DROP_RTP_MALFORMED] = "rtp_malformed",
    [TR_DROP_RTP_EXTENSION] = "rtp_extension",
    [TR_DROP_RTP_UNKNOWN_SSRC] = "rtp_unknown_ssrc",
    [TR_DROP_RTP_PAYLOAD_TYPE] = "rtp_payload_type",
    [TR_DROP_RTP_DUPLICATE] = "rtp_duplicate",
    [TR_DROP_RTP_OLD] = "rtp_old",
    [TR_DROP_RTX_MALFORMED] = "rtx_malformed",
    [TR_DROP_RTX_UNWANTED] = "rtx_unwanted",
    [TR_DROP_RED_MALFORMED] = "red_malformed",
    [TR_DROP_RTCP_MALFORMED] = "rtcp_malformed",
    [TR_DROP_RTCP_FOREIGN] = "rtcp_foreign",
    [TR_DROP_NOT_ADMITTED] = "not_admitted",
    [TR_DROP_NO_SUBSCRIBER] = "no_subscriber",
    [TR_DROP_PAUSED] = "paused",
    [TR_DROP_LAYER] = "layer",
    [TR_DROP_WAIT_KEYFRAME] = "wait_keyframe",
    [TR_DROP_CODEC] = "codec",
    [TR_DROP_TOO_LARGE] = "too_large",
    [TR_DROP_NO_PATH] = "no_path",
    [TR_DROP_OUTBOX_FULL] = "outbox_full",
    [TR_DROP_SEND_ERROR] = "send_error",
    [TR_DROP_NACK_UNKNOWN] = "nack_unknown",
    [TR_DROP_NACK_RATE] = "nack_rate",
    [TR_DROP_PACER] = "pacer",
    [TR_DROP_EVENTS_FULL] = "events_full",
};

_Static_assert(TR_DROP_COUNT <= sizeof((tr_stats *)0)->drops / sizeof((tr_stats *)0)->drops[0],
               "a counter for each drop");

const char *tr_drop_name(int drop) { return drop >= 0 && drop < TR_DROP_COUNT ? drop_names[drop] : NULL; }

static const char *const status_names[] = {
    [-TR_OK] = "ok",
    [-TR_ERR_ARGUMENT] = "argument",
    [-TR_ERR_NO_MEMORY] = "no_memory",
    [-TR_ERR_SYSTEM] = "system",
    [-TR_ERR_NOT_FOUND] = "not_found",
    [-TR_ERR_EXISTS] = "exists",
    [-TR_ERR_FULL] = "full",
    [-TR_ERR_FORBIDDEN] = "forbidden",
    [-TR_ERR_STATE] = "state",
    [-TR_ERR_CRYPTO] = "crypto",
    [-TR_ERR_VERSION] = "version",
};

const char *tr_status_name(int status)
{
    int at = -status;
    return at >= 0 && at < (int)(sizeof status_names / sizeof *status_names) ? status_names[at] : NULL;
}
