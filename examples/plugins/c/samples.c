/* A plugin for tsched in C: libsamples.so, functions samples::add, samples::upper, samples::sorted and samples::nap. */
#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "tsched_plugin.h"
#include "values.h"

static void fail(const tsched_call *call, const char *message)
{
    call->fail(call, message, strlen(message));
}

static void give(const tsched_call *call, buffer result)
{
    call->succeed(call, result.at, result.size); /* copied there */
    drop(&result);
}

static void add(const tsched_call *call)
{
    bytes args = {call->args, call->args_size};
    any value;
    int64_t number, sum = 0;
    while (take_value(&args, &value)) {
        if (!as_int(value, &number)) {
            fail(call, "add takes integers");
            return;
        }
        if (__builtin_add_overflow(sum, number, &sum)) {
            fail(call, "the sum has more than 64 bits");
            return;
        }
    }
    give(call, of_int(sum));
}

static void upper(const tsched_call *call)
{
    bytes args = {call->args, call->args_size}, text;
    any value;
    if (!take_value(&args, &value) || !as_string(value, &text)) {
        fail(call, "upper takes a string");
        return;
    }
    buffer letters = {NULL, 0, 0};
    for (size_t place = 0; place < text.size; place++) {
        uint8_t letter = text.at[place] < 128 ? (uint8_t)toupper(text.at[place]) : text.at[place];
        put(&letters, &letter, 1);
    }
    give(call, of_string(letters.at, letters.size));
    drop(&letters);
}

static int by_size(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Takes a list, and gives one. */
static void sorted(const tsched_call *call)
{
    bytes args = {call->args, call->args_size};
    any list, value;
    buffer numbers = {NULL, 0, 0}, fields = {NULL, 0, 0};
    int64_t number;
    if (!take_value(&args, &list) || !is(list, LIST)) {
        fail(call, "sorted takes a list of integers");
        return;
    }
    while (take_value(&list.value, &value)) {
        if (!as_int(value, &number)) {
            fail(call, "sorted takes a list of integers");
            drop(&numbers);
            return;
        }
        put(&numbers, &number, sizeof number);
    }
    size_t count = numbers.size / sizeof number;
    if (count)
        qsort(numbers.at, count, sizeof number, by_size);
    for (size_t place = 0; place < count; place++) {
        memcpy(&number, numbers.at + place * sizeof number, sizeof number);
        buffer one = of_int(number);
        put_bytes(&fields, 1, one.at, one.size);
        drop(&one);
    }
    drop(&numbers);
    give(call, packed(LIST, fields));
}

/* Waits for so many milliseconds, tells how far it is, and leaves when it is asked to. */
static void nap(const tsched_call *call)
{
    bytes args = {call->args, call->args_size};
    any value;
    int64_t most, slept = 0;
    if (!take_value(&args, &value) || !as_int(value, &most)) {
        fail(call, "nap takes a number of milliseconds");
        return;
    }
    for (; slept < most && !call->cancelled(call); slept += 10) {
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
        call->progress(call, (double)slept + 10, (double)most, "ms");
    }
    printf("slept for %lld ms\n", (long long)slept);
    give(call, of_int(slept));
}

static const tsched_function functions[] = {
    {"add", "(*numbers: int) -> int", "The sum of integers.", add, 0},
    {"upper", "(text: str) -> str", "The text in capital letters, as far as they are ASCII.", upper, 0},
    {"sorted", "(numbers: list[int]) -> list[int]", "The same integers, the smallest first.", sorted, 0},
    {"nap", "(milliseconds: int) -> int", "Wait. Many of these run beside each other.", nap, TSCHED_ASYNC},
};

static const tsched_plugin plugin = {TSCHED_PLUGIN_ABI, sizeof functions / sizeof *functions, functions};

const tsched_plugin *init_plugin(void)
{
    return &plugin;
}
