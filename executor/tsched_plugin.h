/* Native plugins of tsched: the binary interface, version 1.
 *
 * A plugin is a shared library libNAME.so in the library folder. It exports one function, init_plugin, which hands over
 * a table of functions; each is then called as NAME::FUNCTION. Nothing is linked against: all that a plugin needs of its
 * host comes with the call. Any language will do that can export a C function.
 *
 *     static void add(const tsched_call *call) { ... call->succeed(call, bytes, size); }
 *
 *     static const tsched_function functions[] = {{"add", "(a: int, b: int) -> int", "The sum.", add, 0}};
 *     static const tsched_plugin plugin = {TSCHED_PLUGIN_ABI, 1, functions};
 *     const tsched_plugin *init_plugin(void) { return &plugin; }
 *
 * Values. Arguments come as the bytes of a serialized taskscheduler.ListValue { repeated google.protobuf.Any values = 1; }
 * and a result goes as the bytes of one google.protobuf.Any { string type_url = 1; bytes value = 2; }. The type URLs are
 * type.googleapis.com/google.protobuf.{Int32,Int64,UInt32,UInt64,Float,Double,Bool,String,Bytes}Value (field 1 holds the
 * value, one that is 0 or empty may be missing), type.googleapis.com/taskscheduler.ListValue and .MapValue
 * { map<string, google.protobuf.Any> fields = 1; }; an Any without type URL is "none". What callers wrote as a whole
 * number comes as an Int64Value where it fits, else as a UInt64Value. A native function has no keyword arguments, and its
 * arguments are not checked before it is called: it refuses what it does not take, with fail. Arguments and result are
 * at most 4 MiB each.
 *
 * Memory. What one side hands to the other stays its own, and the other side copies what it needs before the call in
 * which it was handed over returns. So nobody ever frees what is not his: args belong to the host and are there until
 * the function returns; what is given to succeed, fail and progress is copied by them and may be on the stack.
 *
 * Threads. A function without TSCHED_ASYNC is called by one thread at a time, and nothing else runs in its process
 * meanwhile. Functions with TSCHED_ASYNC are called by many threads at the same time, also the same function, and must
 * be safe for that; they should wait rather than compute. A function may start threads, and may use its call in them,
 * until it returns.
 *
 * Lifetime. The library is loaded, and init_plugin called once, in each process that runs its functions, and also in one
 * that only looks what it has: init_plugin should do little. It is never unloaded while its process lives, so what
 * init_plugin hands over has to stay as it is. `tsched plugins reload` starts new processes with the new library, while
 * running calls finish in the old ones. So that the file may be replaced at any time, what is loaded is a copy in memory,
 * unless the library is larger than 64 MiB or looks for others beside itself ($ORIGIN): replace such a one with mv, which
 * leaves the old file alone, not with cp. A process may be killed at any moment, as by a time limit: do not count on
 * destructors or atexit. A crash ends this process alone, and the task says so.
 */
#ifndef TSCHED_PLUGIN_H
#define TSCHED_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when a plugin of before would no longer work. tsched_call may grow at its end without that. */
#define TSCHED_PLUGIN_ABI 1

/* Flags of a function. */
#define TSCHED_ASYNC 1u /* many calls may run in one process at the same time */

/* One call of a function. The host made it; all in it is valid until the function returns. */
typedef struct tsched_call tsched_call;
struct tsched_call {
    const uint8_t *args; /* a serialized taskscheduler.ListValue; may be NULL when args_size is 0: no arguments */
    size_t args_size;

    /* How it ended: the last one that was called before the function returned counts. None of them: it returned none.
     * succeed takes a serialized google.protobuf.Any. fail takes a text in UTF-8, which the task is said to have failed
     * with; it may be tried again, as its retries say. */
    void (*succeed)(const tsched_call *call, const uint8_t *any, size_t size);
    void (*fail)(const tsched_call *call, const char *message, size_t size);

    /* How far the work is: done of total (0: nobody knows), and a text in UTF-8 that ends with a NUL, or NULL. */
    void (*progress)(const tsched_call *call, double done, double total, const char *text);

    /* Not 0 when the task is being ended: return soon, or be killed when its grace is over. */
    int32_t (*cancelled)(const tsched_call *call);
};

typedef struct tsched_function {
    const char *name;      /* UTF-8, no spaces, no "::"; at most 200 characters; no other one of the plugin has it */
    const char *signature; /* for people, as "(a: int, b: int) -> int"; may be NULL */
    const char *doc;       /* for people; may be NULL */
    void (*function)(const tsched_call *call);
    uint32_t flags;        /* 0, or TSCHED_ASYNC */
} tsched_function;

typedef struct tsched_plugin {
    uint32_t abi;   /* TSCHED_PLUGIN_ABI; looked at before all else */
    uint32_t count; /* of functions: 1 to 10,000 */
    const tsched_function *functions;
} tsched_plugin;

/* What a plugin exports. NULL: it cannot work here; say why on stderr. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const tsched_plugin *init_plugin(void);

#ifdef __cplusplus
}
#endif

#endif
