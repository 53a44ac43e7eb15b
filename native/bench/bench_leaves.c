/* bench leaves: the table of leaves that are timed one by one, for benchmarks/leaves/native.py to read from a shared
 * object. Nothing is measured here: see leaves.h. One thread. */
#include "leaves.h"

#include "crypto.h"

static const bench_leaf leaves[] = {
#define ROW(name, file, crypto, prepare) {#name, file, crypto, bench_##name, prepare},
    BENCH_LEAVES(ROW)
#undef ROW
};

const bench_leaf *bench_leaf_at(uint32_t i) { return i < sizeof leaves / sizeof *leaves ? &leaves[i] : NULL; }

int bench_leaf_is_available(const bench_leaf *leaf) { return !leaf->crypto || tr__crypto_is_available(leaf->crypto); }
