/* descriptor: see descriptor.h. Touches only the bytes it is given. Worker thread. */
#include "descriptor.h"

#include "wire.h"

bool tr__descriptor_read(tr_descriptor *descriptor, const uint8_t *data, size_t size)
{
    if (size < TR_DESCRIPTOR_MIN) return false;
    *descriptor = (tr_descriptor){
        .is_frame_start = data[0] & 0x80,
        .frame = tr__load16(data + TR_DESCRIPTOR_FRAME_AT),
    };
    /* template_dependency_structure_present_flag: the first of the extended fields. Encoders write a structure where a
     * coded video sequence begins, and only there. */
    descriptor->is_keyframe = descriptor->is_frame_start && size > TR_DESCRIPTOR_MIN && (data[3] & 0x80);
    return true;
}
