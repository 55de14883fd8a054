"""Assemble the page's inner loop: explorer/page/kernel.wat -> kernel.wasm.

    python tools/assemble.py

Knows as much of the WebAssembly text format as that one function needs: instructions in a row, none
nested, named locals and loops. The opcodes are those of the WebAssembly specification, version 2.0.
"""

import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parent.parent / "bvae_helpers" / "explorer" / "page"
TYPES = {"i32": 0x7F, "f32": 0x7D, "v128": 0x7B}
OPCODES = {"loop": [0x03], "end": [0x0B], "br_if": [0x0D],
           "local.get": [0x20], "local.set": [0x21], "local.tee": [0x22],
           "i32.load": [0x28], "i32.const": [0x41], "i32.lt_u": [0x49], "i32.add": [0x6A], "v128.load": [0xFD, 0],
           "v128.load32_splat": [0xFD, 9], "v128.store": [0xFD, 11], "f32x4.splat": [0xFD, 19],
           "f32x4.add": [0xFD, 0xE4, 1], "f32x4.mul": [0xFD, 0xE6, 1]}
ALIGNMENT = {"i32.load": 2, "v128.load32_splat": 2, "v128.load": 2, "v128.store": 2}     # powers of two, in bytes
EMPTY = 0x40                                                                           # a loop without a result


def leb(number, signed=False):
    """A whole number from 0 up in LEB128, seven bits to a byte; a signed one keeps its last bit for the sign."""
    more, low = number >> 7, number & 127
    last = more == 0 and not (signed and low & 64)
    return [low] if last else [low | 128, *leb(more, signed)]


def section(number, content):
    return [number, *leb(len(content)), *content]


def name(text):
    return [len(text), *text.encode()]


def instruction(line, variables, loops):
    """One line of the text -> its bytes. ``loops``: names of the loops around it, the innermost last."""
    word, *rest = line.split()
    code = list(OPCODES[word])
    if word == "loop":
        loops.append(rest[0])
        return [*code, EMPTY]
    if word == "end":
        loops.pop()
    elif word == "br_if":
        code += leb(len(loops) - 1 - loops.index(rest[0]))
    elif word.startswith("local"):
        code += leb(variables.index(rest[0]))
    elif word == "i32.const":
        code += leb(int(rest[0]), signed=True)
    elif word in ALIGNMENT:
        code += [ALIGNMENT[word], *leb(int(rest[0].removeprefix("offset=")) if rest else 0)]
    return code


def assemble(text):
    """WebAssembly text of one function that works on one imported memory -> the bytes of the module."""
    text = re.sub(r";;.*", "", text)
    module, field, pages = re.search(r'\(import "(\w+)" "(\w+)" \(memory (\d+)\)\)', text).groups()
    exported = re.search(r'\(export "(\w+)"\)', text)[1]
    declared = re.findall(r"\((param|local) (\$\w+) (\w+)\)", text)
    parameters = [TYPES[kind] for what, _, kind in declared if what == "param"]
    variables = [TYPES[kind] for what, _, kind in declared if what == "local"]
    body = [line.strip() for line in text.splitlines() if line.strip() and "(" not in line and line.strip() != ")"]
    names, loops, code = [variable for _, variable, _ in declared], [], []
    for line in body:
        code += instruction(line, names, loops)
    function = [*leb(len(variables)), *(byte for kind in variables for byte in (1, kind)), *code, *OPCODES["end"]]
    return bytes([*b"\0asm", 1, 0, 0, 0,
                  *section(1, [1, 0x60, *leb(len(parameters)), *parameters, 0]),           # one type: no result
                  *section(2, [1, *name(module), *name(field), 2, 0, *leb(int(pages))]),   # the memory
                  *section(3, [1, 0]),                                                     # one function, of that type
                  *section(7, [1, *name(exported), 0, 0]),
                  *section(10, [1, *leb(len(function)), *function])])


if __name__ == "__main__":
    target = PAGE / "kernel.wasm"
    target.write_bytes(assemble((PAGE / "kernel.wat").read_text(encoding="utf-8")))
    print(f"wrote {target.name}, {target.stat().st_size} bytes")
