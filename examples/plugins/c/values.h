/* As much of protocol buffers as a plugin needs that takes and gives integers, strings and lists: no library. */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TYPE(name) "type.googleapis.com/" name
#define INT64 TYPE("google.protobuf.Int64Value")
#define STRING TYPE("google.protobuf.StringValue")
#define LIST TYPE("taskscheduler.ListValue")

/* Bytes that somebody else owns. */
typedef struct { const uint8_t *at; size_t size; } bytes;

/* A google.protobuf.Any, taken apart. */
typedef struct { bytes type, value; } any;

/* Takes a varint off the front. */
static inline bool take_varint(bytes *from, uint64_t *number)
{
    *number = 0;
    for (int shift = 0; from->size && shift < 64; shift += 7) {
        uint8_t byte = *from->at++;
        from->size--;
        *number |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

/* Takes the next field off the front: its number, and its value as a number or as bytes. */
static inline bool take_field(bytes *from, uint64_t *field, uint64_t *number, bytes *within)
{
    uint64_t key;
    if (!take_varint(from, &key))
        return false;
    *field = key >> 3;
    *number = 0;
    *within = (bytes){from->at, 0};
    switch (key & 7) {
    case 0: return take_varint(from, number);
    case 1: within->size = 8; break;
    case 2: if (!take_varint(from, number)) return false; *within = (bytes){from->at, (size_t)*number}; break;
    case 5: within->size = 4; break;
    default: return false;
    }
    if (within->size > from->size)
        return false;
    from->at += within->size;
    from->size -= within->size;
    return true;
}

/* Takes the next value off a ListValue, or off the arguments of a call, which are one. False: there is no further one. */
static inline bool take_value(bytes *list, any *value)
{
    uint64_t field, number;
    bytes within;
    while (take_field(list, &field, &number, &within)) {
        if (field != 1)
            continue;
        *value = (any){{NULL, 0}, {NULL, 0}};
        bytes part;
        while (take_field(&within, &field, &number, &part)) {
            if (field == 1) value->type = part;
            if (field == 2) value->value = part;
        }
        return true;
    }
    return false;
}

static inline bool is(any value, const char *type)
{
    return value.type.size == strlen(type) && memcmp(value.type.at, type, value.type.size) == 0;
}

/* The one field of an Int64Value; a field that is missing is 0. */
static inline bool as_int(any value, int64_t *number)
{
    uint64_t field, found;
    bytes within;
    *number = 0;
    while (take_field(&value.value, &field, &found, &within))
        if (field == 1) *number = (int64_t)found;
    return is(value, INT64);
}

/* The one field of a StringValue; a field that is missing is empty. */
static inline bool as_string(any value, bytes *text)
{
    uint64_t field, number;
    bytes within;
    *text = (bytes){NULL, 0};
    while (take_field(&value.value, &field, &number, &within))
        if (field == 1) *text = within;
    return is(value, STRING);
}

/* Bytes that grow. Whoever made them calls drop. */
typedef struct { uint8_t *at; size_t size, room; } buffer;

static inline void put(buffer *to, const void *what, size_t size)
{
    if (to->size + size > to->room) {
        to->room = 2 * (to->size + size);
        to->at = realloc(to->at, to->room);
        if (!to->at)
            abort(); /* the host says so, and only this call is lost */
    }
    if (size)
        memcpy(to->at + to->size, what, size);
    to->size += size;
}

static inline void put_varint(buffer *to, uint64_t number)
{
    do {
        uint8_t byte = (uint8_t)((number & 127) | (number > 127 ? 128 : 0));
        put(to, &byte, 1);
    } while (number >>= 7);
}

/* A field of bytes, a string or a message. */
static inline void put_bytes(buffer *to, uint64_t field, const void *what, size_t size)
{
    put_varint(to, field << 3 | 2);
    put_varint(to, size);
    put(to, what, size);
}

static inline void drop(buffer *what)
{
    free(what->at);
    *what = (buffer){NULL, 0, 0};
}

/* An Any of a value whose fields are in `fields`; these are dropped. */
static inline buffer packed(const char *type, buffer fields)
{
    buffer made = {NULL, 0, 0};
    put_bytes(&made, 1, type, strlen(type));
    put_bytes(&made, 2, fields.at, fields.size);
    drop(&fields);
    return made;
}

static inline buffer of_int(int64_t number)
{
    buffer fields = {NULL, 0, 0};
    put_varint(&fields, 1 << 3 | 0);
    put_varint(&fields, (uint64_t)number);
    return packed(INT64, fields);
}

static inline buffer of_string(const void *text, size_t size)
{
    buffer fields = {NULL, 0, 0};
    put_bytes(&fields, 1, text, size);
    return packed(STRING, fields);
}

#endif
