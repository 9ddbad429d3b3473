//! The pickle machine: opcodes in, a description out. Knows the opcodes, no file.
//!
//! It is a loop over bytes with a stack: neither deep nesting nor a large number in the file makes it recurse or allocate
//! beyond what the bytes themselves describe.

use super::{
    class::Class,
    code::{Code, Fault, Wrong, broken},
    memo::Memo,
    value::{Made, Object, Pickle, Span, Value},
};

/// How many values and objects a pickle may describe. A checkpoint of 100 000 tensors has half as many.
const MOST: usize = 1 << 23;

/// Reads the pickle that `bytes` begin with, and returns how long it is.
pub(crate) fn read(bytes: &[u8]) -> Result<(Pickle<'_>, usize), Fault> {
    // Places in a pickle are kept in 32 bits. None is so long; raw data may follow it.
    let bytes = &bytes[..bytes.len().min(u32::MAX as usize)];
    let code = Code { bytes, at: 0 };
    let mut machine =
        Machine { code, stack: vec![], marks: vec![], memo: Memo::default(), objects: vec![], described: 0 };
    loop {
        let start = machine.code.at;
        let fault = |what| Fault { at: start, what };
        let [op] = machine.code.array().map_err(|what| Fault { at: bytes.len(), what })?;
        if op == b'.' {
            let root = machine.pop().map_err(fault)?;
            return Ok((Pickle { bytes: &bytes[..machine.code.at], objects: machine.objects, root }, machine.code.at));
        }
        machine.step(op).map_err(|what| match what {
            Wrong::Ends(_) => Fault { at: bytes.len(), what },
            what => fault(what),
        })?;
        if machine.described > MOST {
            return Err(fault(broken(format!("describes more than {MOST} values"))));
        }
    }
}

struct Machine<'a> {
    code: Code<'a>,
    stack: Vec<Value>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: Memo,
    objects: Vec<Object>,
    described: usize,
}

type Done = Result<(), Wrong>;

impl Machine<'_> {
    fn step(&mut self, op: u8) -> Done {
        match op {
            // The frame of a pickle: a protocol's number, the length of a stretch.
            0x80 => self.protocol(),
            0x95 => self.code.array::<8>().map(drop),
            b'(' => {
                self.mark();
                Ok(())
            }
            b'0' => self.drop_one(),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => self.top().map(|value| self.push(value)),
            b'N' | 0x88 | 0x89 | b'J' | b'K' | b'M' | 0x8a | 0x8b | b'G' | b'I' | b'L' | b'F' => self.number(op),
            b'X' | 0x8c | 0x8d | b'V' | b'U' | b'T' | b'S' | b'B' | b'C' | 0x8e | 0x96 => self.text(op),
            b')' | b']' | b'}' | 0x8f => {
                self.add(empty(op));
                Ok(())
            }
            b't' | 0x85..=0x87 | b'l' | b'd' | 0x91 => self.collected(op),
            b'a' | b'e' | 0x90 => self.append(op),
            b's' | b'u' => self.set_items(op),
            b'p' | b'q' | b'r' | 0x94 => self.remember(op),
            b'g' | b'h' | b'j' => self.recall(op),
            b'c' | 0x93 => self.class(op),
            b'R' | 0x81 | 0x92 | b'i' | b'o' => self.make(op),
            b'b' => self.build(),
            b'Q' => self.persistent(),
            b'P' => Err(broken("keeps something outside of it under a text, which no file of tensors does")),
            0x82..=0x84 => Err(broken("asks for a class by a number of another program's registry")),
            0x97 | 0x98 => Err(broken("takes bytes from outside of the file")),
            other => Err(broken(format!("has the unknown opcode {other:#04x}"))),
        }
    }

    // The stack

    fn push(&mut self, value: Value) {
        self.described += 1;
        self.stack.push(value);
    }

    fn add(&mut self, object: Object) {
        self.described += 3;
        self.objects.push(object);
        self.push(Value::Object(self.objects.len() as u32 - 1));
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Value, Wrong> {
        let top = self.stack.last().filter(|_| self.stack.len() > self.floor());
        top.copied().ok_or_else(|| broken("takes a value from an empty stack"))
    }

    fn pop(&mut self) -> Result<Value, Wrong> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Wrong> {
        let mark = self.marks.pop().ok_or_else(|| broken("goes back to a mark that was not set"))?;
        Ok(self.stack.split_off(mark))
    }

    fn mark(&mut self) {
        self.described += 1;
        self.marks.push(self.stack.len());
    }

    fn drop_one(&mut self) -> Done {
        if self.stack.len() == self.floor() && self.marks.pop().is_some() {
            return Ok(());
        }
        self.pop().map(drop)
    }

    // Values

    fn protocol(&mut self) -> Done {
        match self.code.array()? {
            [0..=5] => Ok(()),
            [other] => Err(broken(format!("is of protocol {other}; 0 to 5 are known"))),
        }
    }

    fn number(&mut self, op: u8) -> Done {
        let value = match op {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i32::from_le_bytes(self.code.array()?).into()),
            b'K' => Value::Int(u8::from_le_bytes(self.code.array()?).into()),
            b'M' => Value::Int(u16::from_le_bytes(self.code.array()?).into()),
            b'G' => Value::Float(f64::from_be_bytes(self.code.array()?)),
            b'I' | b'L' | b'F' => written_number(op, self.code.line_text()?)?,
            _ => {
                let span = self.code.counted(if op == 0x8a { 1 } else { 4 })?;
                long(self.code.slice(span)).map_or(Value::Long(span), Value::Int)
            }
        };
        self.push(value);
        Ok(())
    }

    fn text(&mut self, op: u8) -> Done {
        let value = match op {
            0x8c => Value::Text(self.code.counted(1)?),
            b'X' => Value::Text(self.code.counted(4)?),
            0x8d => Value::Text(self.code.counted(8)?),
            b'U' | b'C' => Value::Bytes(self.code.counted(1)?),
            b'T' | b'B' => Value::Bytes(self.code.counted(4)?),
            0x8e | 0x96 => Value::Bytes(self.code.counted(8)?),
            b'V' => Value::Text(self.plain_line()?),
            _ => Value::Bytes(unquoted(self.plain_line()?)?),
        };
        self.push(value);
        Ok(())
    }

    /// A line of protocol 0 that stands for itself.
    fn plain_line(&mut self) -> Result<Span, Wrong> {
        let span = self.code.line()?;
        if self.code.slice(span).contains(&b'\\') {
            return Err(broken("has a text with escapes of protocol 0; save it again with torch of today"));
        }
        Ok(span)
    }

    fn collected(&mut self, op: u8) -> Done {
        let values = match op {
            0x85..=0x87 => {
                let count = usize::from(op - 0x84);
                let first = self.stack.len().checked_sub(count).filter(|first| *first >= self.floor());
                self.stack.split_off(first.ok_or_else(|| broken("makes a tuple of an empty stack"))?)
            }
            _ => self.pop_to_mark()?,
        };
        self.add(match op {
            b'd' => Object::Dict(pairs(&values)?),
            b'l' | 0x91 => Object::List(values),
            _ => Object::Tuple(values),
        });
        Ok(())
    }

    fn object(&mut self, value: Value) -> Option<&mut Object> {
        match value {
            Value::Object(number) => self.objects.get_mut(number as usize),
            _ => None,
        }
    }

    fn append(&mut self, op: u8) -> Done {
        let values = if op == b'a' { vec![self.pop()?] } else { self.pop_to_mark()? };
        let top = self.top()?;
        match self.object(top) {
            Some(Object::List(list)) => list.extend(values),
            _ => return Err(broken("appends to something that is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, op: u8) -> Done {
        let values = match op {
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        let (entries, top) = (pairs(&values)?, self.top()?);
        match self.object(top) {
            Some(Object::Dict(dict)) => dict.extend(entries),
            _ => return Err(broken("sets entries of something that is no dict")),
        }
        Ok(())
    }

    // What is remembered

    fn remember(&mut self, op: u8) -> Done {
        let value = self.top()?;
        let number = match op {
            0x94 => self.memo.len() as u32,
            op => self.memo_number(op)?,
        };
        self.described += 1;
        self.memo.put(number, value);
        Ok(())
    }

    fn recall(&mut self, op: u8) -> Done {
        let number = self.memo_number(op)?;
        let value =
            self.memo.get(number).ok_or_else(|| broken(format!("recalls number {number}, which it did not store")))?;
        self.push(value);
        Ok(())
    }

    fn memo_number(&mut self, op: u8) -> Result<u32, Wrong> {
        Ok(match op {
            b'q' | b'h' => u8::from_le_bytes(self.code.array()?).into(),
            b'r' | b'j' => u32::from_le_bytes(self.code.array()?),
            _ => self.code.line_text()?.parse().map_err(|_| broken("has a memo number that is none"))?,
        })
    }

    // Classes and what they make

    fn class(&mut self, op: u8) -> Done {
        let (module, name) = if op == b'c' {
            (self.code.line()?, self.code.line()?)
        } else {
            let name = self.pop()?;
            match (self.pop()?, name) {
                (Value::Text(module), Value::Text(name)) => (module, name),
                _ => return Err(broken("asks for a class whose name is no text")),
            }
        };
        let class = self.named(module, name)?;
        self.push(Value::Class(class));
        Ok(())
    }

    fn named(&self, module: Span, name: Span) -> Result<Class, Wrong> {
        let text = |span| String::from_utf8_lossy(self.code.slice(span)).into_owned();
        let (module, name) = (text(module), text(name));
        Class::named(&module, &name).ok_or_else(|| Wrong::AsksFor(shown(&format!("{module}.{name}"))))
    }

    fn make(&mut self, op: u8) -> Done {
        let at = self.code.at as u32 - 1;
        if op == b'i' {
            let (module, name) = (self.code.line()?, self.code.line()?);
            let class = self.named(module, name)?;
            let args = self.pop_to_mark()?;
            return self.made(class, args, at);
        }
        if op == b'o' {
            let mut args = self.pop_to_mark()?;
            return match args.first() {
                Some(Value::Class(class)) => {
                    let class = *class;
                    args.remove(0);
                    self.made(class, args, at)
                }
                _ => Err(broken("makes an object of no class")),
            };
        }
        if op == 0x92 {
            self.pop()?; // named arguments
        }
        let args = self.pop()?;
        match (self.pop()?, self.object(args)) {
            (Value::Class(class), Some(Object::Tuple(args))) => {
                let args = args.clone();
                self.described += args.len();
                self.made(class, args, at)
            }
            (Value::Class(_), _) => Err(broken("calls a class with arguments that are no tuple")),
            _ => Err(broken("calls something that is no class")),
        }
    }

    fn made(&mut self, class: Class, args: Vec<Value>, at: u32) -> Done {
        let first = args.first().copied();
        let object = match class {
            Class::Dict => Object::Dict(self.entries(first)?),
            Class::List => Object::List(self.items(first)),
            Class::Size => Object::Tuple(self.items(first)),
            class => Object::Made(Made { class, args, state: Value::None, at }),
        };
        self.add(object);
        Ok(())
    }

    /// A copy of the values of a tuple or list, if it is one.
    fn items(&mut self, value: Option<Value>) -> Vec<Value> {
        let items = match value.and_then(|value| self.object(value)) {
            Some(Object::Tuple(values) | Object::List(values)) => values.clone(),
            _ => Vec::new(),
        };
        self.described += items.len();
        items
    }

    /// The entries that a dict is made of: another dict's, or a list of pairs.
    fn entries(&mut self, value: Option<Value>) -> Result<Vec<(Value, Value)>, Wrong> {
        if let Some(Object::Dict(entries)) = value.and_then(|value| self.object(value)) {
            let entries = entries.clone();
            self.described += 2 * entries.len();
            return Ok(entries);
        }
        let mut entries = Vec::new();
        for pair in self.items(value) {
            match self.items(Some(pair))[..] {
                [key, value] => entries.push((key, value)),
                _ => return Err(broken("makes a dict of something that is no list of pairs")),
            }
        }
        Ok(entries)
    }

    fn build(&mut self) -> Done {
        let state = self.pop()?;
        let top = self.top()?;
        match self.object(top) {
            Some(Object::Made(made)) => made.state = state,
            // Attributes of a dict or list, as `_metadata` of a state dict: no entries.
            Some(Object::Dict(_) | Object::List(_)) => {}
            _ => return Err(broken("gives a state to something that has none")),
        }
        Ok(())
    }

    fn persistent(&mut self) -> Done {
        let key = self.pop()?;
        self.add(Object::Persistent(key));
        Ok(())
    }
}

/// A container without parts.
fn empty(op: u8) -> Object {
    match op {
        b')' => Object::Tuple(Vec::new()),
        b'}' => Object::Dict(Vec::new()),
        _ => Object::List(Vec::new()),
    }
}

/// Keys and values that follow each other.
fn pairs(values: &[Value]) -> Result<Vec<(Value, Value)>, Wrong> {
    let (pairs, rest) = values.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(broken("has a key without a value"));
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

/// A little-endian number in two's complement, if 64 bits hold it.
pub(crate) fn long(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut all = if negative { [0xff; 8] } else { [0; 8] };
    all.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(all))
}

/// A number as protocol 0 writes it.
fn written_number(op: u8, text: &str) -> Result<Value, Wrong> {
    let wrong = || broken(format!("has a number that is none: `{}`", shown(text)));
    match (op, text) {
        (b'I', "01") => Ok(Value::Bool(true)),
        (b'I', "00") => Ok(Value::Bool(false)),
        (b'F', text) => text.parse().map(Value::Float).map_err(|_| wrong()),
        (_, text) => text.trim_end_matches('L').parse().map(Value::Int).map_err(|_| wrong()),
    }
}

/// The inside of a quoted line.
fn unquoted(span: Span) -> Result<Span, Wrong> {
    let len = span.len.checked_sub(2).ok_or_else(|| broken("has a text without quotes"))?;
    Ok(Span { start: span.start + 1, len })
}

/// A name of the file's own, so that a message stays one short line.
fn shown(name: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    name.chars().take(120).map(plain).collect()
}
