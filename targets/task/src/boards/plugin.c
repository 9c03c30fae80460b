/*
 * A plugin of QEMU's emulator that counts what an image does, and stops it at chosen moments.
 *
 *   stack=LOW:HIGH           tells the lowest address between them that was stored to
 *   sections=BEGIN:END       counts the instructions between the two functions, each time they are called
 *   stores=LOW:HIGH[:ALSO]   counts the stores to these addresses, and to the one that is named alone
 *   control=SOCKET           stops at the first store, and asks there for the number of the store to stop at
 *                            next: it sends how many stores there were, and receives that number
 *
 * What it counted goes to standard error, a line each: "section 12345", "stack 20001c40", "stores 678".
 * Through the socket, numbers take eight bytes, little-endian; addresses in arguments are hexadecimal.
 *
 * The declarations are those of QEMU 7.2's qemu-plugin.h, which Debian does not package.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*vcpu_callback)(unsigned cpu, void *data);
typedef void (*memory_callback)(unsigned cpu, uint32_t info, uint64_t address, void *data);
enum { NO_REGISTERS = 0, ADD_U64 = 0, STORES = 2 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
bool qemu_plugin_mem_is_store(uint32_t info);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, vcpu_callback, int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, memory_callback, int, int, void *);
void qemu_plugin_register_atexit_cb(uint64_t, void (*)(uint64_t, void *), void *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

struct range { uint64_t low, high, also; };

static struct range stack, sections, stores;
static uint64_t lowest = UINT64_MAX, instructions, begun, stored, stop_at = 1;
static int control = -1;

static void on_begin(unsigned cpu, void *data)
{
    begun = instructions;
}

static void on_end(unsigned cpu, void *data)
{
    fprintf(stderr, "section %" PRIu64 "\n", instructions - begun);
}

/* Waits until the other end of the socket has looked at the machine. */
static void stop(void)
{
    uint64_t number = htole64(stored);

    if (write(control, &number, sizeof number) != sizeof number ||
        read(control, &number, sizeof number) != sizeof number)
        for (;;)
            pause(); /* It went away, and ends this process. */
    stop_at = le64toh(number);
}

static void on_memory(unsigned cpu, uint32_t info, uint64_t address, void *data)
{
    /* The filter by kind that was asked for does not hold in QEMU 7.2. */
    if (!qemu_plugin_mem_is_store(info))
        return;
    if (address >= stack.low && address < stack.high && address < lowest)
        lowest = address;
    if ((address >= stores.low && address < stores.high) || (stores.also && address == stores.also)) {
        stored++;
        if (control >= 0 && stored == stop_at)
            stop();
    }
}

static void on_translation(uint64_t id, struct qemu_plugin_tb *block)
{
    for (size_t at = 0; at < qemu_plugin_tb_n_insns(block); at++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, at);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        if (sections.high)
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, &instructions, 1);
        if (sections.high && address == sections.low)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_begin, NO_REGISTERS, NULL);
        if (sections.high && address == sections.high)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_end, NO_REGISTERS, NULL);
        if (stack.high || stores.high)
            qemu_plugin_register_vcpu_mem_cb(instruction, on_memory, NO_REGISTERS, STORES, NULL);
    }
}

static void on_exit_(uint64_t id, void *data)
{
    if (stack.high)
        fprintf(stderr, "stack %" PRIx64 "\n", lowest);
    if (stores.high)
        fprintf(stderr, "stores %" PRIu64 "\n", stored);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int connection = socket(AF_UNIX, SOCK_STREAM, 0);

    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    return connect(connection, (struct sockaddr *)&address, sizeof address) ? -1 : connection;
}

/* Whether the argument has this name; then its numbers are in `range`. */
static bool names(const char *argument, const char *name, struct range *range)
{
    size_t length = strlen(name);

    return !strncmp(argument, name, length) && argument[length] == '=' &&
        sscanf(argument + length + 1, "%" SCNx64 ":%" SCNx64 ":%" SCNx64, &range->low, &range->high,
               &range->also) >= 2;
}

__attribute__((visibility("default")))
int qemu_plugin_install(uint64_t id, const void *info, int count, char **arguments)
{
    for (int at = 0; at < count; at++) {
        const char *argument = arguments[at];
        if (!strncmp(argument, "control=", 8)) {
            control = connect_to(argument + 8);
            if (control < 0)
                return -1;
        } else if (!names(argument, "stack", &stack) && !names(argument, "sections", &sections) &&
                   !names(argument, "stores", &stores)) {
            return -1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_, NULL);
    return 0;
}
