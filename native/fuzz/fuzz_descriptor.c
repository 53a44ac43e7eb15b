/* fuzz_descriptor: the first byte is how long a descriptor with a structure is, then comes another one, to be looked up
 * in it. Whatever they are, structures are within bounds, what is looked up is one of their frames, the answer is the
 * same twice, and a frame that is made to need the one before it says so and is otherwise the same. */
#include "descriptor.h"

#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    size_t first = data[0] < size - 1 ? data[0] : size - 1;
    tr_structure structure, again;
    if (!tr__structure_read(&structure, data + 1, first)) return 0;
    require(tr__structure_read(&again, data + 1, first) && memcmp(&structure, &again, sizeof structure) == 0);
    require(structure.template_count >= 1 && structure.template_count <= TR_STRUCTURE_TEMPLATES);
    require(structure.target_count >= 1 && structure.target_count <= TR_STRUCTURE_TARGETS);
    require(structure.chain_count <= structure.target_count);
    for (int t = 0; t < structure.target_count; t++)
        require(structure.targets[t].spatial < TR_STRUCTURE_SPATIAL &&
                structure.targets[t].temporal < TR_STRUCTURE_TEMPORAL);
    int best = tr__structure_target(&structure, 255, 255);
    require(best >= 0 && best < structure.target_count);
    int target = tr__structure_target(&structure, data[0] & 3, data[0] >> 2 & 7);
    require(target < structure.target_count);
    if (target >= 0) require(structure.targets[target].spatial <= structure.targets[best].spatial);
    tr_frame_layers frame;
    if (!tr__structure_look_up(&structure, data + 1 + first, size - 1 - first, &frame)) return 0;
    require(frame.spatial < TR_STRUCTURE_SPATIAL && frame.temporal < TR_STRUCTURE_TEMPORAL);
    if (structure.target_count < 32) require(frame.indications >> 2 * structure.target_count == 0);
    /* The same, made to need the frame before it: it does then, and else says what it said. */
    uint8_t tied[TR_DESCRIPTOR_TIED];
    tr_frame_layers after;
    size_t tied_size = frame.spatial && !frame.needs_before
                           ? tr__descriptor_tie(&structure, tied, data + 1 + first, size - 1 - first)
                           : 0;
    require(tied_size <= TR_DESCRIPTOR_TIED);
    if (!tied_size) return 0;
    require(tr__structure_look_up(&structure, tied, tied_size, &after) && after.needs_before);
    require(after.spatial == frame.spatial && after.temporal == frame.temporal);
    require(after.indications == frame.indications);
    return 0;
}
