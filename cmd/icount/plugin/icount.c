/*
 * icount counts the guest instructions that each thread executes under qemu-user, and writes the count down whenever the
 * thread makes the system call getpriority(0x51, TAG): a call that fails, and costs nothing but a count, without the plugin.
 *
 * Arguments: getpriority=NUMBER, the number of the system call on the guest's architecture; out=FILE, where a line
 * "TAG THREAD INSTRUCTIONS" is written for each call. The instructions of the call itself are counted, nothing else of it.
 *
 * Debian packages no qemu-plugin.h. What follows declares the few functions that are used, after the documented
 * interface (https://www.qemu.org/docs/master/devel/tcg-plugins.html); they have been the same since its version 1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_info_t;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t,
                                                              uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif
#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = PLUGIN_VERSION;

enum { MAGIC = 0x51, NO_REGISTERS = 0, THREADS = 1024 };

/* A thread counts in a cache line of its own: no two write the same. */
static struct {
    uint64_t instructions;
    char apart[64 - sizeof(uint64_t)];
} counts[THREADS];

static int64_t getpriority_number = -1;
static FILE *out;

static void executed(unsigned thread, void *instructions)
{
    if (thread < THREADS)
        counts[thread].instructions += (uintptr_t)instructions;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, NO_REGISTERS, (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void called(plugin_id id, unsigned thread, int64_t number, uint64_t which, uint64_t tag, uint64_t a3, uint64_t a4,
                   uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != getpriority_number || which != MAGIC || thread >= THREADS)
        return;
    fprintf(out, "%" PRIu64 " %u %" PRIu64 "\n", tag, thread, counts[thread].instructions);
    fflush(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "getpriority=", 12) == 0)
            getpriority_number = strtoll(argv[i] + 12, NULL, 10);
        else if (strncmp(argv[i], "out=", 4) == 0 && out == NULL)
            out = fopen(argv[i] + 4, "w");
    }
    if (getpriority_number < 0 || out == NULL) {
        fprintf(stderr, "icount: want getpriority=NUMBER,out=FILE, and a FILE that can be written\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
