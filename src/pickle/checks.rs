//! What refuses a whole file: calls that no model needs, and instructions that no model has.

/// Modules and functions by which a pickle takes over the machine that loads it with Python. They would not run here;
/// a file that names them is no model to be trusted.
const HOSTILE: [&str; 29] = [
    "os",
    "posix",
    "nt",
    "sys",
    "subprocess",
    "socket",
    "shutil",
    "runpy",
    "pty",
    "ctypes",
    "importlib",
    "imp",
    "codeop",
    "webbrowser",
    "pickle",
    "_pickle",
    "marshal",
    "requests",
    "urllib",
    "httplib",
    "http",
    "asyncio",
    "multiprocessing",
    "threading",
    "tempfile",
    "pip",
    "bdb",
    "pdb",
    "timeit",
];
/// Of Python's own functions those that plain data is made of.
const BUILTINS: [&str; 18] = [
    "set",
    "frozenset",
    "list",
    "dict",
    "tuple",
    "int",
    "float",
    "bool",
    "str",
    "bytes",
    "bytearray",
    "complex",
    "slice",
    "range",
    "object",
    "unicode",
    "long",
    // Protocol 2 writes members of enumerations so.
    "getattr",
];
const HOSTILE_OF_TORCH: [&str; 3] = ["torch.hub", "torch.utils.model_zoo", "torch.jit"];

/// Refuses names that only an attack needs; the error is the end of a sentence that begins with the file's name.
pub fn global(module: &str, name: &str) -> Result<(), String> {
    let first = module.split('.').next().unwrap_or_default();
    let of_python = matches!(module, "builtins" | "__builtin__" | "__builtins__");
    let hostile = HOSTILE.contains(&first)
        // Projects have modules of these names too: only Python's own are meant.
        || matches!(module, "code" | "commands" | "platform")
        || (of_python && !BUILTINS.contains(&name))
        || (module == "types" && name != "SimpleNamespace")
        || (module == "torch.serialization" && name == "load")
        || (module == "operator" && matches!(name, "attrgetter" | "methodcaller"))
        || HOSTILE_OF_TORCH.iter().any(|m| module == *m || module.starts_with(&format!("{m}.")));
    if hostile {
        return Err(format!(
            "wants to call {module}.{name}, which no model needs: it was made to take over a computer; nothing of it \
             was executed, delete it"
        ));
    }
    Ok(())
}

/// The sentence's end for an instruction that is not known.
pub fn unknown(opcode: u8) -> String {
    let name = match opcode {
        b'I' => "INT",
        b'L' => "LONG",
        b'F' => "FLOAT",
        b'S' => "STRING",
        b'V' => "UNICODE",
        b'P' => "PERSID",
        b'g' => "GET",
        b'p' => "PUT",
        b'i' => "INST",
        b'o' => "OBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        other => return format!("is a broken pickle (the byte {other:#04x} is no instruction); download it again"),
    };
    format!("is a pickle with the instruction {name}, which torch.save does not write; save it again with torch.save")
}
