#!/usr/bin/env python3
"""A kernel of PTX as C++ for machine.h: ptx.py MODULE.ptx KERNEL > kernel.cpp

Each instruction is one call; registers are variables of their own type. What is not known here becomes a call of `unknown`,
which stops the program with the instruction when it is met, and not before.
"""
import re
import sys

KIND = {"pred": "bool"} | {f"{kind}{bits}": name for bits in (8, 16, 32, 64) for kind, name in
                           (("b", f"u{bits}"), ("u", f"u{bits}"), ("s", f"i{bits}"))}
KIND |= {"f16": "f16", "bf16": "bf16", "f32": "f32", "f64": "f64", "f16x2": "u32", "bf16x2": "u32"}
SIZE = {"b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "s16": 2, "f16": 2, "b32": 4, "u32": 4, "s32": 4, "f32": 4,
        "b64": 8, "u64": 8, "s64": 8, "f64": 8, "bf16": 2}
SPECIAL = {"%tid": "t.tid", "%ntid": "t.ntid", "%ctaid": "t.ctaid", "%nctaid": "t.nctaid"}
SPACES = ("global", "shared", "local", "param", "const")
COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "lo": "<", "ls": "<=", "hi": ">", "hs": ">="}
SIMPLE = {"add", "sub", "min", "max", "and", "or", "xor", "not", "neg", "abs", "shl", "shr", "rem", "fma", "copysign", "rcp",
          "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh", "selp", "cnot", "popc", "clz", "brev"}
MEETS = ("bar.", "shfl.", "mma.", "ldmatrix.", "vote.", "barrier.")


def variable(name):
    return "v_" + re.sub(r"[^A-Za-z0-9_]", "_", name)


class Kernel:
    def __init__(self, module, name):
        found = re.search(r"\.entry\s+" + re.escape(name) + r"\s*\(", module)
        if not found:
            sys.exit(f"there is no kernel {name}")
        close = module.index(")\n", found.end() - 1)
        self.name = name
        self.module = module
        self.text = self.body(module, module.index("{", close))
        self.params, self.sizes, end = {}, [], 0
        for align, kind, param, count in re.findall(
                r"\.param\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+(\w+)(?:\[(\d+)\])?", module[found.end():close]):
            size = SIZE[kind] * int(count or 1)
            aligned = int(align or SIZE[kind])
            end = -(-end // aligned) * aligned
            self.params[param] = end
            self.sizes.append((end, size))
            end += size
        self.param_bytes = end
        self.shared, self.shared_bytes = {}, 0
        self.local, self.local_bytes = {}, 0
        self.globals = []
        # What is asked of the module outside of its functions.
        outside = re.sub(r"\n\{\n.*?\n\}\n", "\n", module, flags=re.S)
        for line in re.findall(r"^(?:\.visible |\.extern )?\.(?:global|const|shared) .*?;", outside, flags=re.M | re.S):
            self.declare(line)
        self.out = []
        self.scopes = 0

    @staticmethod
    def body(module, at):
        depth = 0
        for i in range(at, len(module)):
            depth += {"{": 1, "}": -1}.get(module[i], 0)
            if depth == 0:
                return module[at + 1:i]
        sys.exit("a kernel does not end")

    def declare(self, line):
        found = re.search(r"\.(global|const|shared|local)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)(?:\[(\d*)\])?(?:\s*=\s*(.*))?;", line, re.S)
        if not found:
            return
        space, align, kind, name, count, values = found.groups()
        size = SIZE[kind] * (int(count) if count else 1 if count is None else 0)
        align = int(align or SIZE[kind])
        if space in ("shared", "local"):
            if count == "":
                # As large as the launch says.
                self.shared[name] = "MOST_STATIC"
                return
            end = getattr(self, space + "_bytes")
            at = -(-end // align) * align
            getattr(self, space)[name] = at
            setattr(self, space + "_bytes", at + size)
        elif re.search(re.escape(name) + r"(?![\w$])", self.text):
            numbers = re.sub(r"[{}]", "", values or "0")
            self.globals.append(f"alignas({align}) static {KIND[kind]} {variable(name)}[{int(count or 1)}] = {{{numbers}}};")
            self.shared.setdefault("", 0)
            self.shared[name] = None

    def operand(self, text, kind=None):
        text = text.strip()
        if text in ("%laneid",):
            return "t.lane()"
        if text == "WARP_SZ":
            return "32u"
        if match := re.fullmatch(r"(%\w+)\.([xyz])", text):
            return f"{SPECIAL[match[1]]}.{match[2]}"
        if match := re.fullmatch(r"0[fF]([0-9A-Fa-f]{8})", text):
            return f"bits<f32>(0x{match[1]}u)"
        if match := re.fullmatch(r"0[dD]([0-9A-Fa-f]{16})", text):
            return f"bits<f64>(0x{match[1]}ull)"
        if re.fullmatch(r"-?(0[xX][0-9A-Fa-f]+|\d+)U?", text):
            return f"(i64){text.rstrip('U')}ll" if not text[:2].lower() == "0x" else f"(i64){text.rstrip('U')}ull"
        if text.startswith("!"):
            return f"!{self.operand(text[1:])}"
        if text == "_":
            return "t.nothing"
        if text in self.shared and self.shared[text] is not None:
            return f"(u64){self.shared[text]}"
        if text in self.shared:
            return f"(u64){variable(text)}"
        if text in self.local:
            return f"(u64){self.local[text]}"
        if text in self.params:
            return f"(u64){self.params[text]}"
        return variable(text)

    def address(self, text, space):
        text = text.strip()[1:-1]
        match = re.fullmatch(r"([^+]+?)(?:\+(-?\d+))?", text)
        base, offset = match[1].strip(), match[2] or "0"
        if space == "param" and base not in self.params:
            return None
        start = {"shared": "t.shared", "local": "t.local", "param": "t.param"}.get(space)
        value = f"(u64){self.operand(base)} + {offset}"
        return f"({start} + ({value}))" if start else f"((char *)({value}))"

    def emit(self, line):
        self.out.append("    " + line)

    def instruction(self, line):
        guard = ""
        if match := re.match(r"@(!?)(%\w+)\s+(.*)", line, re.S):
            guard, line = f"if ({match[1]}{variable(match[2])}) ", match[3]
        parts = re.match(r"([\w.:]+)\s*(.*)", line, re.S)
        words, rest = parts[1].split("."), parts[2]
        op, kind = words[0], words[-1]
        # Commas within braces and brackets do not part.
        operands = [o.strip() for o in re.split(r",\s*(?![^{]*\}|[^\[]*\])", rest)] if rest else []
        code = self.translate(op, words[1:], kind, operands, line)
        if code is None:
            code = f'unknown("{self.name}: {line.replace(chr(10), " ").strip()}");'
        self.emit(guard + "{ " + code + " }" if guard else code)

    def translate(self, op, mods, kind, operands, line):
        c = KIND.get(kind)
        read = lambda text, of=None: f"get<{of or c}>({self.operand(text)})"
        if op == "bra":
            return f"goto L_{re.sub(r'[^A-Za-z0-9_]', '_', operands[0])};"
        if op in ("ret", "exit"):
            return "return;"
        if op in ("bar", "barrier"):
            return "t.meet_warp();" if "warp" in mods else "t.meet_block();"
        if op in ("membar", "fence", "pragma", "nanosleep"):
            return ";"
        if op == "trap":
            return f'unknown("{self.name}: trap");'
        if op == "call":
            return f'unknown("{self.name}: a call");'
        if op == "mov" and c:
            return self.move(c, operands)
        if op in ("ld", "st", "ldu"):
            return self.memory(op, mods, c, operands)
        if op == "cvta":
            space = next((m for m in mods if m in SPACES), "global")
            start = {"shared": "t.shared", "local": "t.local", "param": "t.param"}.get(space)
            sign = "-" if "to" in mods else "+"
            value = f"get<u64>({self.operand(operands[1])})"
            return f"put({self.operand(operands[0])}, {value}{f' {sign} (u64){start}' if start else ''});"
        if op == "cvt":
            types = [m for m in mods if m in KIND]
            if len(operands) == 3:
                return f"put({self.operand(operands[0])}, pair<{'bf16' if 'bf16x2' in mods else 'f16'}>({read(operands[1], 'f32')}, {read(operands[2], 'f32')}));"
            to, of = KIND[types[0]], KIND[types[1]]
            rounding = next((m for m in mods if m in ("rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi", "rna")), "")
            name = {"rzi": "std::trunc", "rmi": "std::floor", "rpi": "std::ceil", "rni": "std::nearbyint"}.get(rounding, "")
            value = read(operands[1], of)
            if name:
                value = f"({of}){name}({value})" if of in ("f32", "f64") else f"({of})(f32){name}((f32){value})"
            if "sat" in mods and to in ("f32", "f64"):
                return f"put({self.operand(operands[0])}, saturated<{to}>({value}));"
            return f"put({self.operand(operands[0])}, convert<{to}>({value}));"
        if op in ("setp", "set"):
            compare = mods[0]
            of = KIND[mods[-1]]
            unordered = len(compare) == 3 and compare.endswith("u")
            if compare in ("num", "nan"):
                test = f"ordered({read(operands[1], of)}, {read(operands[2], of)})"
                test = test if compare == "num" else "!" + test
            else:
                sign = COMPARE[compare[:2]]
                a, b = read(operands[1], of), read(operands[2], of)
                test = f"compare<{of}>({a}, {b}, [](auto a, auto b) {{ return a {sign} b; }}, {'true' if unordered else 'false'})"
                if compare == "ne":
                    test = f"(ordered({a}, {b}) && {test})"
            extra = next((m for m in mods[1:] if m in ("and", "or", "xor")), None)
            if extra:
                test = f"({test} {dict(zip(('and', 'or', 'xor'), '&|^'))[extra]} get<bool>({self.operand(operands[3])}))"
            if op == "set":
                to = KIND[mods[-2]]
                return f"put({self.operand(operands[0])}, {f'convert<{to}>({test} ? 1.0f : 0.0f)' if to in ('f16', 'bf16', 'f32') else f'({to})({test} ? -1 : 0)'});"
            both = operands[0].split("|")
            return f"put({self.operand(both[0])}, {test});" + (f" put({self.operand(both[1])}, !{variable(both[0])});" if len(both) > 1 else "")
        if op == "selp":
            return f"put({self.operand(operands[0])}, get<bool>({self.operand(operands[3])}) ? {read(operands[1])} : {read(operands[2])});"
        if kind in ("f16x2", "bf16x2") and op in SIMPLE | {"mul"}:
            numbers = ", ".join(read(o, "u32") for o in operands[1:])
            return f"put({self.operand(operands[0])}, of_halves<{kind[:-2]}>([](auto... x) {{ return op_{op}<{kind[:-2]}>(x...); }}, {numbers}));"
        if op in ("mul", "mad") and c and c[0] in "ui":
            wide = "wide" in mods
            high = "hi" in mods
            product = f"product_{'wide' if wide else 'hi' if high else 'lo'}<{c}>({read(operands[1])}, {read(operands[2])})"
            if op == "mad":
                if "cc" in mods or mods[-2:] == ["cc", kind]:
                    return f"put({self.operand(operands[0])}, t.carrying((u64)(u32){product} + (u32){read(operands[3])}));"
                to = {"i16": "i32", "u16": "u32", "i32": "i64", "u32": "u64"}[c] if wide else c
                product = f"plus<{to}>({product}, {read(operands[3], to)})"
            return f"put({self.operand(operands[0])}, {product});"
        if op == "madc":
            product = f"product_{'hi' if 'hi' in mods else 'lo'}<{c}>({read(operands[1])}, {read(operands[2])})"
            return f"put({self.operand(operands[0])}, t.carrying((u64)(u32){product} + (u32){read(operands[3])} + t.carry));"
        if op == "mad":
            op = "fma"
        if op in ("mul", "div"):
            return f"put({self.operand(operands[0])}, op_{op}<{c}>({read(operands[1])}, {read(operands[2])}));"
        if op in ("shl", "shr"):
            return f"put({self.operand(operands[0])}, op_{op}<{c}>({read(operands[1])}, {read(operands[2], 'u32')}));"
        if op in SIMPLE and c:
            return f"put({self.operand(operands[0])}, op_{op}<{c}>({', '.join(read(o) for o in operands[1:])}));"
        if op == "bfi":
            return f"put({self.operand(operands[0])}, op_bfi<{c}>({read(operands[1])}, {read(operands[2])}, {read(operands[3], 'u32')}, {read(operands[4], 'u32')}));"
        if op == "prmt":
            return f"put({self.operand(operands[0])}, op_prmt({', '.join(read(o, 'u32') for o in operands[1:4])}));"
        if op == "shfl":
            return f"put({self.operand(operands[0].split('|')[0])}, t.exchange_{mods[1]}({read(operands[1], 'u32')}, {read(operands[2], 'u32')}, {read(operands[3], 'u32')}));"
        if op in ("atom", "red"):
            if op == "red":
                operands = ["_"] + operands
            what = next(m for m in mods if m in ("add", "min", "max", "exch", "cas", "and", "or"))
            at = self.address(operands[1], next((m for m in mods if m in SPACES), ""))
            return f"put({self.operand(operands[0])}, atom_{what}<{c}>({at}, {', '.join(read(o) for o in operands[2:])}));"
        if op == "ldmatrix" and "x4" in mods:
            numbers = ", ".join(self.operand(o) for o in operands[0].strip("{} ").split(","))
            return f"t.load_matrices<{'true' if 'trans' in mods else 'false'}>({self.address(operands[1], 'shared')}, {numbers});"
        if op == "mma" and "m16n8k16" in mods:
            parts = [[self.operand(o) for o in group.strip("{} ").split(",")] for group in operands]
            of = "bf16" if "bf16" in mods else "f16"
            puts = " ".join(f"put({d}, sums[{i}]);" for i, d in enumerate(parts[0]))
            start = ", ".join(f"get<f32>({x})" for x in parts[3])
            return f"{{ f32 sums[4] = {{{start}}}; const u32 a[4] = {{{', '.join(f'get<u32>({x})' for x in parts[1])}}}, " \
                   f"b[2] = {{{', '.join(f'get<u32>({x})' for x in parts[2])}}}; t.product<{of}>(sums, a, b); {puts} }}"
        return None

    def move(self, c, operands):
        to, of = operands
        if to.startswith("{"):
            parts = [self.operand(o) for o in to.strip("{} ").split(",")]
            return f"unpack<{c}>(get<{c}>({self.operand(of)}), {', '.join(parts)});"
        if of.startswith("{"):
            parts = [self.operand(o) for o in of.strip("{} ").split(",")]
            return f"put({self.operand(to)}, pack<{c}>({', '.join(parts)}));"
        return f"put({self.operand(to)}, get<{c}>({self.operand(of)}));"

    def memory(self, op, mods, c, operands):
        space = next((m for m in mods if m in SPACES), "")
        value, at = (operands[0], operands[1]) if op != "st" else (operands[1], operands[0])
        address = self.address(at, space)
        if address is None:
            # Arguments of a call, which is not followed.
            return ";"
        parts = [o.strip() for o in value.strip("{} ").split(",")]
        count = len(parts)
        check = f"aligned<{count} * sizeof({c})>({address});"
        if op == "st":
            each = " ".join(f"store<{c}>({address} + {i} * sizeof({c}), get<{c}>({self.operand(p)}));" for i, p in enumerate(parts))
        elif count == 1:
            each = f"put({self.operand(parts[0])}, load<{c}>({address}));"
        else:
            # The address may be in one of the registers that are loaded.
            each = f"{{ const char *from = {address}; " + \
                " ".join(f"const {c} x{i} = load<{c}>(from + {i} * sizeof({c}));" for i in range(count)) + " " + \
                " ".join(f"put({self.operand(p)}, x{i});" for i, p in enumerate(parts)) + " }"
        return f"{check} {each}"

    def translated(self):
        text = re.sub(r"//[^\n]*", "", self.text)
        declarations = []
        for token in self.statements(text):
            token = token.strip()
            if token in ("", ";"):
                continue
            if token == "{":
                self.emit("{")
            elif token == "}":
                self.emit("}")
            elif token.endswith(":"):
                self.emit(f"L_{re.sub(r'[^A-Za-z0-9_]', '_', token[:-1])}:;")
            elif token.startswith(".reg"):
                match = re.match(r"\.reg\s*\.(\w+)\s+(.*);", token, re.S)
                for name in match[2].split(","):
                    name = name.strip()
                    if many := re.fullmatch(r"(%\w+)<(\d+)>", name):
                        names = [variable(f"{many[1]}{i}") for i in range(int(many[2]))]
                    else:
                        names = [variable(name)]
                    lines = [f"{KIND[match[1]]} {n}{{}};" for n in names]
                    (declarations if name.startswith("%") else self.out).extend("    " + line for line in lines)
            elif token.startswith((".shared", ".local")):
                self.declare(token)
            elif token.startswith("."):
                continue
            else:
                self.instruction(token.rstrip(";").strip())
        meets = "true" if any(m in text for m in MEETS) else "false"
        name = "K_" + re.sub(r"[^A-Za-z0-9_]", "_", self.name)
        sizes = ", ".join(f"{{{a}, {b}}}" for a, b in self.sizes)
        return "\n".join([
            '#include "machine.h"', *self.globals, f"static void {name}(Thread &t) {{", *declarations, *self.out, "}",
            f"static const Part parts[] = {{{sizes}}};",
            f'extern "C" const Kernel kernel = {{{name}, {meets}, {self.param_bytes}, {len(self.sizes)}, parts, {self.shared_bytes}, {self.local_bytes}}};',
            ""])

    @staticmethod
    def statements(text):
        """What ends with a semicolon, labels with their colon, and braces that open and close scopes."""
        at = 0
        while at < len(text):
            if text[at].isspace():
                at += 1
            elif text[at] in "{}":
                yield text[at]
                at += 1
            elif label := re.compile(r"[\w$]+:(?!:)").match(text, at):
                yield label[0]
                at = label.end()
            else:
                end = text.index(";", at)
                yield text[at:end + 1]
                at = end + 1


def main():
    module = open(sys.argv[1]).read().rstrip("\0")
    print(Kernel(module, sys.argv[2]).translated())


if __name__ == "__main__":
    main()
