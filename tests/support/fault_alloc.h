/* SPDX-License-Identifier: MIT */
/*
 * fault_alloc.h - memory that runs out, and a ledger of what was not given back.
 *
 * For programs linked with @tests/fault/wrap_alloc.txt: malloc and its kin and mmap ask
 * fault_strikes(), and between ledger_begin() and ledger_end() every block they gave is written
 * down. What the program itself allocates then is written down too, so it does so before or after.
 * Memory of shared libraries is not seen.
 */
#ifndef LSIO_TESTS_FAULT_ALLOC_H
#define LSIO_TESTS_FAULT_ALLOC_H

#include <stddef.h>

void ledger_begin(void);
/* How many blocks and mapped bytes are left; each block is named on stderr by its size and the
 * place in the program (for addr2line) that asked for it. */
size_t ledger_end(void);

#endif
