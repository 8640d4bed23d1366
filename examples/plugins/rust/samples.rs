//! A plugin for tsched in Rust, without crates: librusty.so, functions rusty::add, rusty::reverse and rusty::nap.
#![allow(non_camel_case_types)]

use std::ffi::{c_char, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Duration;

/// What tsched_plugin.h says.
mod abi {
    use std::ffi::c_char;

    pub const VERSION: u32 = 1;
    pub const ASYNC: u32 = 1;

    #[repr(C)]
    pub struct tsched_call {
        pub args: *const u8,
        pub args_size: usize,
        pub succeed: extern "C" fn(*const tsched_call, *const u8, usize),
        pub fail: extern "C" fn(*const tsched_call, *const c_char, usize),
        pub progress: extern "C" fn(*const tsched_call, f64, f64, *const c_char),
        pub cancelled: extern "C" fn(*const tsched_call) -> i32,
    }

    #[repr(C)]
    pub struct tsched_function {
        pub name: *const c_char,
        pub signature: *const c_char,
        pub doc: *const c_char,
        pub function: extern "C" fn(*const tsched_call),
        pub flags: u32,
    }

    #[repr(C)]
    pub struct tsched_plugin {
        pub abi: u32,
        pub count: u32,
        pub functions: *const tsched_function,
    }

    // They are tables that nobody changes.
    unsafe impl Sync for tsched_function {}
    unsafe impl Sync for tsched_plugin {}
}

use abi::{tsched_call, tsched_function, tsched_plugin};

const INT64: &str = "type.googleapis.com/google.protobuf.Int64Value";
const STRING: &str = "type.googleapis.com/google.protobuf.StringValue";

/// A google.protobuf.Any as this plugin knows it.
enum Value {
    Int(i64),
    Text(String),
    Other,
}

/// One field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(from: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    if size > from.len() {
        return None;
    }
    let (taken, rest) = from.split_at(size);
    *from = rest;
    Some(taken)
}

/// The fields of a message in order, up to its end or to where it is damaged.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        let key = take_varint(&mut message)?;
        let value = match key & 7 {
            0 => Field::Number(take_varint(&mut message)?),
            1 => Field::Bytes(take(&mut message, 8)?),
            2 => {
                let size = usize::try_from(take_varint(&mut message)?).ok()?;
                Field::Bytes(take(&mut message, size)?)
            }
            5 => Field::Bytes(take(&mut message, 4)?),
            _ => return None,
        };
        Some((key >> 3, value))
    })
}

fn value_of(any: &[u8]) -> Value {
    let (mut url, mut within): (&[u8], &[u8]) = (b"", b"");
    for (number, field) in fields(any) {
        match (number, field) {
            (1, Field::Bytes(bytes)) => url = bytes,
            (2, Field::Bytes(bytes)) => within = bytes,
            _ => {}
        }
    }
    let only = fields(within).filter(|(number, _)| *number == 1).last();
    match (only, url) {
        (Some((_, Field::Number(number))), url) if url == INT64.as_bytes() => Value::Int(number as i64),
        (None, url) if url == INT64.as_bytes() => Value::Int(0),
        (Some((_, Field::Bytes(text))), url) if url == STRING.as_bytes() => {
            Value::Text(String::from_utf8_lossy(text).into_owned())
        }
        (None, url) if url == STRING.as_bytes() => Value::Text(String::new()),
        _ => Value::Other,
    }
}

fn put_varint(to: &mut Vec<u8>, mut number: u64) {
    while number > 127 {
        to.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    to.push(number as u8);
}

fn put_bytes(to: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(to, field << 3 | 2);
    put_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn any_of(value: &Value) -> Vec<u8> {
    let (mut any, mut within) = (Vec::new(), Vec::new());
    let url = match value {
        Value::Int(number) => {
            put_varint(&mut within, 1 << 3);
            put_varint(&mut within, *number as u64);
            INT64
        }
        Value::Text(text) => {
            put_bytes(&mut within, 1, text.as_bytes());
            STRING
        }
        Value::Other => return any, // none
    };
    put_bytes(&mut any, 1, url.as_bytes());
    put_bytes(&mut any, 2, &within);
    any
}

/// Runs a function that knows nothing of C. A panic must not leave Rust; here it is a failure like others.
fn answer(call: *const tsched_call, function: impl FnOnce(&tsched_call, Vec<Value>) -> Result<Value, String>) {
    let told = unsafe { &*call };
    let args = match told.args_size {
        0 => &[],
        size => unsafe { std::slice::from_raw_parts(told.args, size) },
    };
    let values = fields(args)
        .filter_map(|(number, field)| match field {
            Field::Bytes(any) if number == 1 => Some(value_of(any)),
            _ => None,
        })
        .collect();
    let outcome = catch_unwind(AssertUnwindSafe(|| function(told, values)));
    match outcome.unwrap_or_else(|_| Err("it panicked; its output says where".to_owned())) {
        Ok(value) => {
            let any = any_of(&value);
            (told.succeed)(call, any.as_ptr(), any.len());
        }
        Err(message) => (told.fail)(call, message.as_ptr().cast::<c_char>(), message.len()),
    }
}

extern "C" fn add(call: *const tsched_call) {
    answer(call, |_, values| {
        let mut sum: i64 = 0;
        for value in values {
            let Value::Int(number) = value else {
                return Err("add takes integers".to_owned());
            };
            sum = sum.checked_add(number).ok_or("the sum has more than 64 bits")?;
        }
        Ok(Value::Int(sum))
    });
}

extern "C" fn reverse(call: *const tsched_call) {
    answer(call, |_, values| match values.as_slice() {
        [Value::Text(text)] => Ok(Value::Text(text.chars().rev().collect())),
        _ => Err("reverse takes a string".to_owned()),
    });
}

extern "C" fn nap(call: *const tsched_call) {
    answer(call, |told, values| match values.as_slice() {
        [Value::Int(most)] => {
            let mut slept = 0;
            while slept < *most && (told.cancelled)(told) == 0 {
                std::thread::sleep(Duration::from_millis(10));
                slept += 10;
                (told.progress)(told, slept as f64, *most as f64, text(c"ms"));
            }
            Ok(Value::Int(slept))
        }
        _ => Err("nap takes a number of milliseconds".to_owned()),
    });
}

const fn text(literal: &'static CStr) -> *const c_char {
    literal.as_ptr()
}

static FUNCTIONS: [tsched_function; 3] = [
    tsched_function {
        name: text(c"add"),
        signature: text(c"(*numbers: int) -> int"),
        doc: text(c"The sum of integers."),
        function: add,
        flags: 0,
    },
    tsched_function {
        name: text(c"reverse"),
        signature: text(c"(text: str) -> str"),
        doc: text(c"The text from its end to its beginning."),
        function: reverse,
        flags: 0,
    },
    tsched_function {
        name: text(c"nap"),
        signature: text(c"(milliseconds: int) -> int"),
        doc: text(c"Wait. Many of these run beside each other."),
        function: nap,
        flags: abi::ASYNC,
    },
];

static PLUGIN: tsched_plugin = tsched_plugin {
    abi: abi::VERSION,
    count: FUNCTIONS.len() as u32,
    functions: FUNCTIONS.as_ptr(),
};

#[no_mangle]
pub extern "C" fn init_plugin() -> *const tsched_plugin {
    &PLUGIN
}
