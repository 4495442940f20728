//! The machine: frames on an explicit stack, and the loop that executes internal code (spec: Execution / Control
//! Instructions, Function Calls). Rust recursion happens only when a host function calls back.
//!
//! Longer than 600 lines, as the loop has an arm for each operation.
//!
//! Invariant: each frame's slots lie within the stack; those below the base of the next frame are its locals and the
//! operands that are live across the call, so [`Machine::top`] bounds all live slots while a host function runs.

use super::aggregate::{self, Context};
use super::code::{Body, Code};
use super::memory::{self, Access};
use super::numeric::{self, NoResult};
use super::{exception, reference, table, vector};
use crate::error::{Error, HostError, Resource, Result, TrapKind};
use crate::runtime::store::{Config, Func, FuncKind, PAGE_SIZE, Store};
use crate::runtime::value::{Bits, FuncAddr, Unpacked, Value, i31_signed, slots};

/// Stands for the constant expression that is given along.
const CONSTANT: u32 = u32::MAX;

#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) instance: u32,
    /// Index among the module's bodies, or `CONSTANT`.
    pub(super) body: u32,
    /// The operation to go on with.
    pub(super) pc: u32,
    pub(super) base: u32,
}

/// The stacks of an activation chain.
#[derive(Default)]
pub(crate) struct Machine {
    pub(super) stack: Vec<u64>,
    pub(super) frames: Vec<Frame>,
    /// First slot free for a nested call.
    top: usize,
    host_depth: u32,
    /// A host function's panic on its way to the host.
    panic: Option<Box<dyn std::any::Any + Send>>,
}

impl Machine {
    /// The slots of all suspended frames.
    pub(crate) fn live_slots(&self) -> &[u64] {
        &self.stack[..self.top]
    }

    fn reserve(&mut self, end: usize, config: &Config) -> Result<()> {
        if end > self.stack.len() {
            let max = config.max_values as usize;
            if end > max {
                return Err(Error::exhausted(Resource::CallStack));
            }
            let len = end.max(self.stack.len() * 2).max(1024).min(max);
            self.stack.resize(len, 0);
        }
        Ok(())
    }
}

/// Takes fuel, or takes what is left and fails.
#[inline(always)]
pub(crate) fn charge(fuel: &mut Option<u64>, cost: u64) -> Result<()> {
    match fuel {
        None => Ok(()),
        Some(left) if *left >= cost => {
            *left -= cost;
            Ok(())
        }
        Some(left) => {
            *left = 0;
            Err(Error::exhausted(Resource::Fuel))
        }
    }
}

/// Why the loop over one frame's operations stops.
enum Action {
    Call {
        func: u32,
        args: usize,
        tail: bool,
    },
    Return,
    /// An exception, by its place in the heap.
    Throw(u32),
}

impl Store {
    /// Calls a function whose arguments have been checked.
    pub(crate) fn call_from_host(
        &mut self,
        func: FuncAddr,
        args: &[u64],
        results: usize,
    ) -> Result<Vec<u64>> {
        self.activate(results, |store, machine, base| {
            machine.reserve(base + args.len().max(results), &store.config)?;
            machine.stack[base..base + args.len()].copy_from_slice(args);
            let entry = machine.frames.len();
            store.enter(machine, func.0, base)?;
            store.run(machine, entry, None)
        })
    }

    /// Runs a constant expression; gives the slots of its value.
    pub(crate) fn run_constant(&mut self, body: &Body, instance: u32) -> Result<Vec<u64>> {
        self.activate(body.results as usize, |store, machine, base| {
            machine.reserve(base + body.frame_size as usize, &store.config)?;
            let entry = machine.frames.len();
            machine.frames.push(Frame { instance, body: CONSTANT, pc: 0, base: base as u32 });
            store.run(machine, entry, Some(body))
        })
    }

    /// Runs `f` above the frames that are there, restores the machine whatever happens, and gives the results.
    fn activate(
        &mut self,
        results: usize,
        f: impl FnOnce(&mut Store, &mut Machine, usize) -> Result<()>,
    ) -> Result<Vec<u64>> {
        let mut machine = std::mem::take(&mut self.machine);
        if machine.host_depth >= self.config.max_host_depth {
            self.machine = machine;
            return Err(Error::exhausted(Resource::CallStack));
        }
        let (base, entry) = (machine.top, machine.frames.len());
        machine.host_depth += 1;
        let outcome = f(self, &mut machine, base);
        machine.host_depth -= 1;
        machine.frames.truncate(entry);
        machine.top = base;
        let panic = machine.panic.take();
        let values = match &outcome {
            Ok(()) => machine.stack.get(base..base + results).map(<[u64]>::to_vec),
            Err(_) => None,
        };
        self.machine = machine;
        if let Some(panic) = panic {
            std::panic::resume_unwind(panic);
        }
        outcome?;
        values.ok_or_else(|| Error::crash("results beyond the stack"))
    }

    /// Spec: function calls. Pushes a frame, or calls a host function at once.
    fn enter(&mut self, machine: &mut Machine, func: u32, base: usize) -> Result<()> {
        let unknown = || Error::crash("unknown function");
        let Func { kind: FuncKind::Wasm { instance, index }, .. } =
            *self.funcs.get(func as usize).ok_or_else(unknown)?
        else {
            return self.call_host(machine, func, base);
        };
        charge(&mut self.fuel, 1)?;
        if machine.frames.len() >= self.config.max_call_depth as usize {
            return Err(Error::exhausted(Resource::CallStack));
        }
        let module = &self.instances.get(instance as usize).ok_or_else(unknown)?.module.0;
        let index = index - module.imported_funcs;
        let body = module.bodies.get(index as usize).ok_or_else(unknown)?;
        machine.reserve(base + body.frame_size as usize, &self.config)?;
        machine.stack[base + body.params as usize..base + body.locals as usize].fill(0);
        machine.frames.push(Frame { instance, body: index, pc: 0, base: base as u32 });
        Ok(())
    }

    /// Calls a host function with its arguments at `base`, where its results go too.
    fn call_host(&mut self, machine: &mut Machine, func: u32, base: usize) -> Result<()> {
        let ty = self.func_type(FuncAddr(func)).ok_or_else(|| Error::crash("unknown function"))?.clone();
        let params = slots(&ty.params);
        machine.reserve(base + params.max(slots(&ty.results)), &self.config)?;
        let args = self.from_slots(&machine.stack[base..base + params], &ty.params)?;
        machine.top = base + params;
        std::mem::swap(&mut self.machine, machine);
        let outcome = self.run_host(func, &args);
        std::mem::swap(&mut self.machine, machine);
        let values = match outcome {
            Ok(outcome) => outcome.map_err(Error::from)?,
            Err(panic) => {
                machine.panic = Some(panic);
                return Err(Error::host("host function panicked"));
            }
        };
        if values.len() != ty.results.len() {
            return Err(Error::host("host function returned a wrong number of values"));
        }
        let results = self
            .to_slots(&values, &ty.results)
            .map_err(|error| Error::host(format!("result of a host function: {}", error.message())))?;
        machine.stack[base..base + results.len()].copy_from_slice(&results);
        Ok(())
    }

    fn run_host(&mut self, func: u32, args: &[Value]) -> std::thread::Result<Result<Vec<Value>, HostError>> {
        use std::panic::{AssertUnwindSafe, catch_unwind};
        match &mut self.funcs[func as usize].kind {
            FuncKind::SharedHost(host) => {
                let host = host.clone();
                catch_unwind(AssertUnwindSafe(|| host(self, args)))
            }
            FuncKind::Host(place) => {
                let Some(mut host) = place.take() else {
                    return Ok(Err(Error::usage("host function entered again while it runs").into()));
                };
                let outcome = catch_unwind(AssertUnwindSafe(|| host(self, args)));
                self.funcs[func as usize].kind = FuncKind::Host(Some(host));
                outcome
            }
            FuncKind::Wasm { .. } => Ok(Err(Error::crash("no host function").into())),
        }
    }

    /// Executes until the frame at depth `entry` has returned.
    fn run(&mut self, machine: &mut Machine, entry: usize, constant: Option<&Body>) -> Result<()> {
        while machine.frames.len() > entry {
            let mut executed = 0;
            let action = self.run_frame(machine, constant, &mut executed);
            self.instructions += executed;
            let entered = match action? {
                Action::Return => {
                    machine.frames.pop();
                    Ok(())
                }
                Action::Throw(exception) => self.unwind(machine, entry, exception),
                Action::Call { func, args, tail: false } => self.enter(machine, func, args),
                Action::Call { func, args, tail: true } => {
                    // Spec: return calls. The arguments replace the frame.
                    let ty =
                        self.func_type(FuncAddr(func)).ok_or_else(|| Error::crash("unknown function"))?;
                    let params = slots(&ty.params);
                    let frame = machine.frames.pop().ok_or_else(|| Error::crash("no frame"))?;
                    machine.reserve(args + params, &self.config)?;
                    machine.stack.copy_within(args..args + params, frame.base as usize);
                    self.enter(machine, func, frame.base as usize)
                }
            };
            if let Err(error) = entered {
                self.throw_on(machine, entry, error)?;
            }
        }
        Ok(())
    }

    /// Executes the topmost frame until it calls or returns.
    #[expect(clippy::too_many_lines, reason = "one arm an operation")]
    fn run_frame(
        &mut self,
        machine: &mut Machine,
        constant: Option<&Body>,
        executed: &mut u64,
    ) -> Result<Action> {
        let frame = machine.frames.last_mut().ok_or_else(|| Error::crash("no frame"))?;
        let instance =
            self.instances.get(frame.instance as usize).ok_or_else(|| Error::crash("unknown instance"))?;
        let body = match constant {
            Some(body) if frame.body == CONSTANT => body,
            _ => {
                let body = instance.module.0.bodies.get(frame.body as usize);
                body.ok_or_else(|| Error::crash("unknown body"))?
            }
        };
        let base = frame.base as usize;
        let regs = &mut machine.stack[base..base + body.frame_size as usize];
        let ops = &body.ops[..];
        let mut pc = frame.pc as usize;
        let mut count = 0u64;

        macro_rules! reg {
            ($slot:expr) => {
                regs[$slot as usize]
            };
        }
        macro_rules! trap {
            ($kind:ident) => {{
                *executed += count;
                return Err(Error::trap(TrapKind::$kind));
            }};
        }
        macro_rules! check {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(error) => {
                        *executed += count;
                        return Err(error);
                    }
                }
            };
        }
        macro_rules! function {
            ($bits:expr, $null:ident) => {
                match Bits($bits).unpack() {
                    Unpacked::Func(func) => func,
                    Unpacked::Null => trap!($null),
                    _ => check!(Err(Error::crash("call of something that is no function"))),
                }
            };
        }
        macro_rules! call {
            ($func:expr, $op:expr, $tail:expr) => {{
                frame.pc = pc as u32;
                *executed += count;
                return Ok(Action::Call { func: $func, args: base + $op.d as usize, tail: $tail });
            }};
        }

        loop {
            let op = ops[pc];
            pc += 1;
            count += 1;
            match op.code {
                // Spec: unreachable, blocks and branches.
                Code::Unreachable => trap!(Unreachable),
                Code::Loop => check!(charge(&mut self.fuel, 1)),
                Code::Br => pc = op.b as usize,
                Code::BrIf => {
                    if reg!(op.a) as u32 != 0 {
                        pc = op.b as usize;
                    }
                }
                Code::BrIfNot => {
                    if reg!(op.a) as u32 == 0 {
                        pc = op.b as usize;
                    }
                }
                Code::BrTable => {
                    let index = (reg!(op.a) as u32).min(op.d);
                    pc = body.pool[(op.b + index) as usize] as usize;
                }
                Code::BrOnNull => {
                    if reg!(op.a) == Bits::NULL.0 {
                        pc = op.b as usize;
                    }
                }
                Code::BrOnNonNull => {
                    if reg!(op.a) != Bits::NULL.0 {
                        pc = op.b as usize;
                    }
                }
                Code::BrOnCast | Code::BrOnCastFail => {
                    let ty = body.ref_types[op.d as usize];
                    let is = reference::is_of_type(
                        reg!(op.a),
                        ty,
                        &instance.types,
                        &self.types,
                        &self.heap,
                        &self.funcs,
                    );
                    if is == (op.code == Code::BrOnCast) {
                        pc = op.b as usize;
                    }
                }
                // Spec: return.
                Code::Return => {
                    regs.copy_within(op.a as usize..(op.a + op.b) as usize, 0);
                    *executed += count;
                    return Ok(Action::Return);
                }
                Code::Return0 => {
                    *executed += count;
                    return Ok(Action::Return);
                }
                Code::Return1 => {
                    reg!(0) = reg!(op.a);
                    *executed += count;
                    return Ok(Action::Return);
                }
                // Spec: call, call_ref, call_indirect and their return_ forms.
                Code::Call | Code::ReturnCall => {
                    call!(instance.funcs[op.b as usize], op, op.code == Code::ReturnCall)
                }
                Code::CallRef | Code::ReturnCallRef => {
                    let func = function!(reg!(op.a), NullReference);
                    let ty = self.funcs.get(func as usize).map(|func| func.ty);
                    if !ty.is_some_and(|ty| self.types.is_subtype(ty, instance.types[op.b as usize])) {
                        check!(Err(Error::crash("call_ref of another type")));
                    }
                    call!(func, op, op.code == Code::ReturnCallRef)
                }
                Code::CallIndirect | Code::ReturnCallIndirect => {
                    let table = &self.tables[instance.tables[op.m as usize] as usize];
                    let bits = check!(table::get(table, reg!(op.a)));
                    let func = function!(bits, UninitializedElement);
                    let ty = self.funcs.get(func as usize).map(|func| func.ty);
                    if !ty.is_some_and(|ty| self.types.is_subtype(ty, instance.types[op.b as usize])) {
                        trap!(IndirectCallTypeMismatch);
                    }
                    call!(func, op, op.code == Code::ReturnCallIndirect)
                }
                // Spec: throw, throw_ref.
                Code::Throw => {
                    let tag = instance.tags[op.b as usize];
                    let fields = &regs[op.d as usize..(op.d + op.a) as usize];
                    *executed += count;
                    frame.pc = pc as u32;
                    return exception::allocate(&mut self.heap, &self.types, &self.tags, tag, fields)
                        .map(Action::Throw);
                }
                Code::ThrowRef => {
                    let exception = check!(exception::referenced(&self.heap, reg!(op.a)));
                    *executed += count;
                    frame.pc = pc as u32;
                    return Ok(Action::Throw(exception));
                }
                // Spec: variable and parametric instructions.
                Code::Const => reg!(op.d) = u64::from(op.b) << 32 | u64::from(op.a),
                Code::Copy => reg!(op.d) = reg!(op.a),
                Code::CopyRange => regs.copy_within(op.a as usize..(op.a + op.b) as usize, op.d as usize),
                Code::Select => {
                    let from = if reg!(op.d + 2) as u32 != 0 { op.a } else { op.b };
                    reg!(op.d) = reg!(from);
                }
                Code::SelectWide => {
                    let from = if reg!(op.d + 4) as u32 != 0 { op.a } else { op.b };
                    regs.copy_within(from as usize..from as usize + 2, op.d as usize);
                }
                Code::GlobalGet => {
                    reg!(op.d) = self.globals[instance.globals[op.b as usize] as usize].value;
                }
                Code::GlobalSet => {
                    self.globals[instance.globals[op.b as usize] as usize].value = reg!(op.a);
                }
                Code::GlobalGetWide => {
                    let global = &self.globals[instance.globals[op.b as usize] as usize];
                    (reg!(op.d), reg!(op.d + 1)) = (global.value, global.high);
                }
                Code::GlobalSetWide => {
                    let global = &mut self.globals[instance.globals[op.b as usize] as usize];
                    (global.value, global.high) = (reg!(op.a), reg!(op.a + 1));
                }
                // Spec: vector instructions; see `vector`.
                Code::Vector => check!(vector::step(op, regs)),
                Code::VectorLane => check!(vector::step_lane(op, regs)),
                Code::VectorShuffle => check!(vector::step_shuffle(op, regs, &body.pool)),
                Code::VectorLoad | Code::VectorStore => {
                    let (memories, addrs) = (&mut self.memories, &instance.memories);
                    check!(vector::memory::step(op, regs, &body.pool, memories, addrs));
                }
                // Spec: memory instructions.
                Code::OffsetAddress => {
                    let (low, high) = (body.pool[op.b as usize], body.pool[op.b as usize + 1]);
                    match reg!(op.a).checked_add(u64::from(high) << 32 | u64::from(low)) {
                        Some(address) => reg!(op.d) = address,
                        None => trap!(MemoryOutOfBounds),
                    }
                }
                Code::MemorySize => {
                    let memory = &self.memories[instance.memories[op.m as usize] as usize];
                    reg!(op.d) = memory.size as u64 / PAGE_SIZE;
                }
                Code::MemoryGrow => {
                    let memory = &mut self.memories[instance.memories[op.m as usize] as usize];
                    let pages = reg!(op.a);
                    reg!(op.d) =
                        check!(memory::grow(memory, pages, &self.config, &mut self.total_pages, |cost| {
                            charge(&mut self.fuel, cost)
                        }));
                }
                Code::MemoryFill => {
                    let memory = &mut self.memories[instance.memories[op.m as usize] as usize];
                    let (at, value, len) = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    check!(memory::fill(memory, at, value, len, |cost| charge(&mut self.fuel, cost)));
                }
                Code::MemoryCopy => {
                    let dst = instance.memories[op.m as usize] as usize;
                    let src = instance.memories[op.b as usize] as usize;
                    let operands = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    check!(memory::copy(&mut self.memories, (dst, src), operands, |cost| charge(
                        &mut self.fuel,
                        cost
                    )));
                }
                Code::MemoryInit => {
                    let memory = &mut self.memories[instance.memories[op.m as usize] as usize];
                    let data = &self.datas[instance.first_data + op.b as usize];
                    let (at, from, len) = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    let inside = memory::range(from, len, data.len()).is_some()
                        && memory::range(at, len, memory.size).is_some();
                    if !inside {
                        trap!(MemoryOutOfBounds);
                    }
                    check!(charge(&mut self.fuel, memory::byte_cost(len)));
                    if memory::init(memory, data, at, from, len).is_none() {
                        trap!(MemoryOutOfBounds);
                    }
                }
                Code::DataDrop => {
                    self.datas[instance.first_data + op.b as usize] = std::sync::Arc::from(&[][..]);
                }
                // Spec: table instructions.
                Code::TableGet => {
                    let table = &self.tables[instance.tables[op.b as usize] as usize];
                    reg!(op.d) = check!(table::get(table, reg!(op.a)));
                }
                Code::TableSet => {
                    let table = &mut self.tables[instance.tables[op.b as usize] as usize];
                    check!(table::set(table, reg!(op.a), reg!(op.d)));
                }
                Code::TableSize => {
                    let table = &self.tables[instance.tables[op.b as usize] as usize];
                    reg!(op.d) = table.elements.len() as u64;
                }
                Code::TableGrow => {
                    let table = &mut self.tables[instance.tables[op.b as usize] as usize];
                    let (value, count) = (reg!(op.a), reg!(op.a + 1));
                    let total = &mut self.total_elements;
                    reg!(op.a) = check!(table::grow(table, value, count, &self.config, total, |cost| {
                        charge(&mut self.fuel, cost)
                    }));
                }
                Code::TableFill => {
                    let table = &mut self.tables[instance.tables[op.b as usize] as usize];
                    let (at, value, len) = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    check!(table::fill(table, at, value, len, |cost| charge(&mut self.fuel, cost)));
                }
                Code::TableCopy => {
                    let dst = instance.tables[op.b as usize] as usize;
                    let src = instance.tables[op.d as usize] as usize;
                    let operands = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    check!(table::copy(&mut self.tables, (dst, src), operands, |cost| charge(
                        &mut self.fuel,
                        cost
                    )));
                }
                Code::TableInit => {
                    let table = &mut self.tables[instance.tables[op.b as usize] as usize];
                    let refs = &self.elems[instance.first_elem + op.d as usize];
                    let (at, from, len) = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    let inside = memory::range(from, len, refs.len()).is_some()
                        && memory::range(at, len, table.elements.len()).is_some();
                    if !inside {
                        trap!(TableOutOfBounds);
                    }
                    check!(charge(&mut self.fuel, len));
                    if table::init(&mut table.elements, refs, at, from, len).is_none() {
                        trap!(TableOutOfBounds);
                    }
                }
                Code::ElemDrop => self.elems[instance.first_elem + op.b as usize] = Vec::new(),
                // Spec: reference instructions.
                Code::RefFunc => reg!(op.d) = Bits::func(instance.funcs[op.b as usize]).0,
                Code::RefIsNull => reg!(op.d) = u64::from(reg!(op.a) == Bits::NULL.0),
                Code::RefEq => reg!(op.d) = u64::from(reg!(op.a) == reg!(op.b)),
                Code::RefAsNonNull => {
                    if reg!(op.a) == Bits::NULL.0 {
                        trap!(NullReference);
                    }
                    reg!(op.d) = reg!(op.a);
                }
                Code::RefTest | Code::RefCast => {
                    let ty = body.ref_types[op.b as usize];
                    let is = reference::is_of_type(
                        reg!(op.a),
                        ty,
                        &instance.types,
                        &self.types,
                        &self.heap,
                        &self.funcs,
                    );
                    if op.code == Code::RefTest {
                        reg!(op.d) = u64::from(is);
                    } else if is {
                        reg!(op.d) = reg!(op.a);
                    } else {
                        trap!(CastFailure);
                    }
                }
                Code::RefI31 => reg!(op.d) = Bits::i31(reg!(op.a) as u32).0,
                Code::I31GetS | Code::I31GetU => match Bits(reg!(op.a)).unpack() {
                    Unpacked::I31(value) if op.code == Code::I31GetU => reg!(op.d) = u64::from(value),
                    Unpacked::I31(value) => reg!(op.d) = u64::from(i31_signed(value) as u32),
                    Unpacked::Null => trap!(NullReference),
                    _ => check!(Err(Error::crash("i31.get of another reference"))),
                },
                // Spec: aggregate instructions; see `aggregate`.
                Code::StructGet => {
                    reg!(op.d) = check!(aggregate::struct_get(&mut self.heap, reg!(op.a), op.b));
                }
                Code::StructGetS8 => {
                    let value = check!(aggregate::struct_get(&mut self.heap, reg!(op.a), op.b));
                    reg!(op.d) = u64::from(i32::from(value as i8) as u32);
                }
                Code::StructGetS16 => {
                    let value = check!(aggregate::struct_get(&mut self.heap, reg!(op.a), op.b));
                    reg!(op.d) = u64::from(i32::from(value as i16) as u32);
                }
                Code::StructSet => {
                    check!(aggregate::struct_set(&mut self.heap, reg!(op.a), op.b, reg!(op.d)));
                }
                Code::StructSet8 => {
                    let value = reg!(op.d) & 0xff;
                    check!(aggregate::struct_set(&mut self.heap, reg!(op.a), op.b, value));
                }
                Code::StructSet16 => {
                    let value = reg!(op.d) & 0xffff;
                    check!(aggregate::struct_set(&mut self.heap, reg!(op.a), op.b, value));
                }
                Code::StructGetWide => {
                    let value = check!(aggregate::struct_get_wide(&mut self.heap, reg!(op.a), op.b));
                    vector::write(regs, op.d, value);
                }
                Code::StructSetWide => {
                    let value = vector::read(regs, op.d);
                    check!(aggregate::struct_set_wide(&mut self.heap, reg!(op.a), op.b, value));
                }
                Code::ArrayGetWide => {
                    let value = check!(aggregate::array_get_wide(&mut self.heap, reg!(op.a), reg!(op.b)));
                    vector::write(regs, op.d, value);
                }
                Code::ArraySetWide => {
                    let value = vector::read(regs, op.d);
                    check!(aggregate::array_set_wide(&mut self.heap, reg!(op.a), reg!(op.b), value));
                }
                Code::ArrayGet => {
                    reg!(op.d) = check!(aggregate::array_get(&mut self.heap, reg!(op.a), reg!(op.b)));
                }
                Code::ArrayGetS8 => {
                    let value = check!(aggregate::array_get(&mut self.heap, reg!(op.a), reg!(op.b)));
                    reg!(op.d) = u64::from(i32::from(value as i8) as u32);
                }
                Code::ArrayGetS16 => {
                    let value = check!(aggregate::array_get(&mut self.heap, reg!(op.a), reg!(op.b)));
                    reg!(op.d) = u64::from(i32::from(value as i16) as u32);
                }
                Code::ArraySet => {
                    check!(aggregate::array_set(&mut self.heap, reg!(op.a), reg!(op.b), reg!(op.d)));
                }
                Code::ArrayLen => reg!(op.d) = check!(aggregate::array_len(&mut self.heap, reg!(op.a))),
                Code::StructNew
                | Code::StructNewDefault
                | Code::ArrayNew
                | Code::ArrayNewDefault
                | Code::ArrayNewFixed
                | Code::ArrayNewData
                | Code::ArrayNewElem
                | Code::ArrayFill
                | Code::ArrayCopy
                | Code::ArrayInitData
                | Code::ArrayInitElem => {
                    let mut context = Context {
                        config: &self.config,
                        types: &self.types,
                        heap: &mut self.heap,
                        fuel: &mut self.fuel,
                        ids: &instance.types,
                        elems: &self.elems[instance.first_elem..],
                        datas: &self.datas[instance.first_data..],
                    };
                    check!(context.step(op, regs));
                }
                // Spec: numeric instructions, loads and stores.
                _ => match numeric::evaluate(op, regs) {
                    Ok(value) => reg!(op.d) = value,
                    Err(NoResult::Trap(kind)) => check!(Err(Error::trap(kind))),
                    Err(NoResult::NotNumeric) => {
                        match memory::access(op, regs, &mut self.memories, &instance.memories) {
                            Access::Done => {}
                            Access::OutOfBounds => trap!(MemoryOutOfBounds),
                            Access::Other => check!(Err(Error::crash("operation without an execution"))),
                        }
                    }
                },
            }
        }
    }
}
