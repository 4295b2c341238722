//! The stack machine: bytes to an arena of nodes.
//!
//! Values are numbers of nodes, so what is referred to many times is there once, and no input makes more nodes than it
//! has bytes. Calls become [`Node::Object`]; nothing is called.

use std::collections::HashMap;

use super::checks;

/// The number of a node.
pub type Id = u32;

#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Tuple(Vec<Id>),
    /// Also sets.
    List(Vec<Id>),
    /// In the order of the file; also an `OrderedDict`.
    Dict(Vec<(Id, Id)>),
    /// A class or function, by name only.
    Global(String, String),
    /// What a call or a class would have made: who was called, with what, and what was set afterwards.
    Object {
        callable: Id,
        arguments: Id,
        state: Option<Id>,
        items: Vec<(Id, Id)>,
    },
    /// What lies outside the pickle: a storage.
    Outside(Id),
}

/// All nodes of a pickle.
#[derive(Debug, Default)]
pub struct Arena {
    nodes: Vec<Node>,
}

static NOTHING: Node = Node::None;

impl Arena {
    pub fn get(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&NOTHING)
    }

    fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        (self.nodes.len() - 1) as Id
    }

    fn get_mut(&mut self, id: Id) -> Result<&mut Node, String> {
        self.nodes.get_mut(id as usize).ok_or_else(|| broken("a value that is not there"))
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn text(&self, id: Id) -> Option<&str> {
        if let Node::Text(text) = self.get(id) { Some(text) } else { None }
    }

    pub fn int(&self, id: Id) -> Option<i64> {
        if let Node::Int(n) = self.get(id) { Some(*n) } else { None }
    }

    pub fn tuple(&self, id: Id) -> Option<&[Id]> {
        if let Node::Tuple(items) | Node::List(items) = self.get(id) { Some(items) } else { None }
    }

    /// `module.name` of a class or function.
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        if let Node::Global(module, name) = self.get(id) { Some((module, name)) } else { None }
    }

    pub fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        if let Node::Dict(items) = self.get(id) { Some(items) } else { None }
    }

    /// The value of a text key of a dict.
    pub fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        self.dict(dict)?.iter().rev().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, v)| *v)
    }
}

fn broken(what: &str) -> String {
    format!("is a broken pickle ({what}); copy or download it again")
}

/// Bytes with a place in them.
pub struct Reader<'a> {
    bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let found = &self.bytes[self.at..end.ok_or_else(|| broken("it ends too early"))?];
        self.at += len;
        Ok(found)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// An unsigned number of `N` bytes, at most 8.
    fn number<const N: usize>(&mut self) -> Result<u64, String> {
        Ok(self.fixed::<N>()?.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    fn sized<const N: usize>(&mut self) -> Result<&'a [u8], String> {
        let len = usize::try_from(self.number::<N>()?).map_err(|_| broken("a length beyond all memory"))?;
        self.take(len)
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|b| *b == b'\n').ok_or_else(|| broken("a name without end"))?;
        self.at += end + 1;
        text(&rest[..end])
    }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    // Python writes lone surrogates into its UTF-8; they are not in names that matter.
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

#[derive(Default)]
struct Machine {
    stack: Vec<Id>,
    /// Where on the stack each open group begins.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

/// Runs one pickle from the reader's place to its end, and leaves the reader after it.
pub fn run(reader: &mut Reader<'_>, arena: &mut Arena) -> Result<Id, String> {
    let mut machine = Machine::default();
    loop {
        let opcode = reader.fixed::<1>()?[0];
        if opcode == b'.' {
            return machine.pop();
        }
        machine.step(opcode, reader, arena)?;
        if arena.nodes.len() > Id::MAX as usize - 1 {
            return Err("is a pickle of more values than any model has".to_owned());
        }
    }
}

impl Machine {
    fn pop(&mut self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(broken("a value is missing"));
        }
        self.stack.pop().ok_or_else(|| broken("a value is missing"))
    }

    fn last(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| broken("a value is missing"))
    }

    fn group(&mut self) -> Result<Vec<Id>, String> {
        let from = self.marks.pop().ok_or_else(|| broken("a group without beginning"))?;
        Ok(self.stack.split_off(from.min(self.stack.len())))
    }

    fn tuple(&mut self, arena: &mut Arena, len: usize) -> Result<Id, String> {
        let mut items = (0..len).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(arena.add(Node::Tuple(items)))
    }

    fn step(&mut self, opcode: u8, r: &mut Reader<'_>, arena: &mut Arena) -> Result<(), String> {
        let new = match opcode {
            // PROTO, FRAME
            0x80 => return r.take(1).map(drop),
            0x95 => return r.take(8).map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b'0' => return self.pop().map(drop),
            b'1' => return self.group().map(drop),
            b'2' => self.last()?,
            b'N' => arena.add(Node::None),
            0x88 => arena.add(Node::Bool(true)),
            0x89 => arena.add(Node::Bool(false)),
            b'J' => arena.add(Node::Int(i64::from(i32::from_le_bytes(r.fixed()?)))),
            b'K' => arena.add(Node::Int(r.number::<1>()? as i64)),
            b'M' => arena.add(Node::Int(r.number::<2>()? as i64)),
            0x8a => arena.add(long(r.sized::<1>()?)),
            0x8b => arena.add(long(r.sized::<4>()?)),
            b'G' => arena.add(Node::Float(f64::from_be_bytes(r.fixed()?))),
            b'X' => arena.add(Node::Text(text(r.sized::<4>()?)?)),
            0x8c => arena.add(Node::Text(text(r.sized::<1>()?)?)),
            0x8d => arena.add(Node::Text(text(r.sized::<8>()?)?)),
            // Python 2's strings are texts for all that matters here.
            b'U' => arena.add(Node::Text(text(r.sized::<1>()?)?)),
            b'T' => arena.add(Node::Text(text(r.sized::<4>()?)?)),
            b'C' => arena.add(Node::Bytes(r.sized::<1>()?.to_vec())),
            b'B' => arena.add(Node::Bytes(r.sized::<4>()?.to_vec())),
            0x8e | 0x96 => arena.add(Node::Bytes(r.sized::<8>()?.to_vec())),
            b')' => arena.add(Node::Tuple(Vec::new())),
            b't' => {
                let items = self.group()?;
                arena.add(Node::Tuple(items))
            }
            0x85..=0x87 => self.tuple(arena, usize::from(opcode - 0x84))?,
            b']' | 0x8f => arena.add(Node::List(Vec::new())),
            b'l' | 0x91 => {
                let items = self.group()?;
                arena.add(Node::List(items))
            }
            b'}' => arena.add(Node::Dict(Vec::new())),
            b'd' => {
                let items = pairs(self.group()?)?;
                arena.add(Node::Dict(items))
            }
            b'a' => return self.extend(arena, true),
            b'e' | 0x90 => return self.extend(arena, false),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                return self.set(arena, vec![(key, value)]);
            }
            b'u' => {
                let items = pairs(self.group()?)?;
                return self.set(arena, items);
            }
            b'c' => {
                let (module, name) = (r.line()?, r.line()?);
                checks::global(&module, &name)?;
                arena.add(Node::Global(module, name))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (arena.text(module), arena.text(name)) else {
                    return Err(broken("a class without a name"));
                };
                checks::global(module, name)?;
                let global = Node::Global(module.to_owned(), name.to_owned());
                arena.add(global)
            }
            // REDUCE, NEWOBJ: written down, never made.
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                call(arena, callable, arguments)
            }
            0x92 => {
                let (_, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                call(arena, callable, arguments)
            }
            b'b' => return self.build(arena),
            b'q' => return self.remember(r.number::<1>()?),
            b'r' => return self.remember(r.number::<4>()?),
            0x94 => return self.remember(self.memo.len() as u64),
            b'h' => self.recall(r.number::<1>()?)?,
            b'j' => self.recall(r.number::<4>()?)?,
            b'Q' => {
                let id = self.pop()?;
                arena.add(Node::Outside(id))
            }
            other => return Err(checks::unknown(other)),
        };
        self.stack.push(new);
        Ok(())
    }

    fn remember(&mut self, key: u64) -> Result<(), String> {
        self.memo.insert(key, self.last()?);
        Ok(())
    }

    fn recall(&self, key: u64) -> Result<Id, String> {
        self.memo.get(&key).copied().ok_or_else(|| broken("it refers to what is not there"))
    }

    fn extend(&mut self, arena: &mut Arena, one: bool) -> Result<(), String> {
        let more = if one { vec![self.pop()?] } else { self.group()? };
        match arena.get_mut(self.last()?)? {
            Node::List(items) => items.extend(more),
            // Of an unknown class: what is put into it does not matter.
            Node::Object { .. } => {}
            _ => return Err(broken("it appends to what is no list")),
        }
        Ok(())
    }

    fn set(&mut self, arena: &mut Arena, more: Vec<(Id, Id)>) -> Result<(), String> {
        match arena.get_mut(self.last()?)? {
            Node::Dict(items) | Node::Object { items, .. } => items.extend(more),
            _ => return Err(broken("it sets entries of what is no dict")),
        }
        Ok(())
    }

    /// The state of an object; an ordered dict's attributes (`_metadata`) are no entries.
    fn build(&mut self, arena: &mut Arena) -> Result<(), String> {
        let with = self.pop()?;
        if let Node::Object { state, .. } = arena.get_mut(self.last()?)? {
            *state = Some(with);
        }
        Ok(())
    }
}

fn call(arena: &mut Arena, callable: Id, arguments: Id) -> Id {
    let ordered = arena.global(callable).is_some_and(|(m, n)| m == "collections" && n == "OrderedDict");
    if !ordered {
        return arena.add(Node::Object { callable, arguments, state: None, items: Vec::new() });
    }
    // Python 2 gives the entries as an argument: a list of lists of two.
    let given = arena.tuple(arguments).and_then(|a| arena.tuple(*a.first()?)).unwrap_or_default();
    let entry = |pair: &Id| if let Some([key, value]) = arena.tuple(*pair) { Some((*key, *value)) } else { None };
    let entries = given.iter().filter_map(entry).collect();
    arena.add(Node::Dict(entries))
}

fn pairs(items: Vec<Id>) -> Result<Vec<(Id, Id)>, String> {
    let (pairs, rest) = items.as_chunks::<2>();
    if rest.is_empty() { Ok(pairs.iter().map(|[k, v]| (*k, *v)).collect()) } else { Err(broken("a key without value")) }
}

/// Two's complement, least byte first. Longer numbers (hashes, seeds) are kept as their bytes.
fn long(bytes: &[u8]) -> Node {
    if bytes.len() > 8 {
        return Node::Bytes(bytes.to_vec());
    }
    let mut whole = if bytes.last().is_some_and(|b| b & 0x80 != 0) { [0xff; 8] } else { [0; 8] };
    whole[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(whole))
}
