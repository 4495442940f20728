//! WebAssembly to machine code by Cranelift, with precise stack maps.
