/* red: see red.h. Touches only the payload it is given. Worker thread. */
#include "red.h"

#include "wire.h"

bool tr__red_parse(tr_red *red, const uint8_t *payload, size_t size)
{
    *red = (tr_red){0};
    if (size > UINT16_MAX) return false;
    tr_cursor c = tr__cursor(payload, size);
    size_t older = 0;
    for (uint8_t count = 1; count <= TR_RED_MAX_BLOCKS; count++) {
        uint8_t head = tr__take8(&c);
        if (!(head & 0x80)) { /* F: the last header, and the only one without offset and length */
            tr__take(&c, older);
            if (!tr__cursor_ok(&c) || !tr__cursor_left(&c)) return false;
            *red = (tr_red){.count = count,
                            .primary_at = (uint16_t)(size - tr__cursor_left(&c)),
                            .primary_size = (uint16_t)tr__cursor_left(&c)};
            return true;
        }
        tr__take8(&c); /* eight of the fourteen bits of the timestamp offset */
        older += tr__take16(&c) & 0x03ff;
    }
    return false;
}
