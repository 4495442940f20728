//! The machine: frames on an explicit stack, and the loop that executes internal code (spec: Execution / Control
//! Instructions, Function Calls). Host functions are called in [`super::host`].
//!
//! Longer than 600 lines, as the loop has an arm for each operation.
//!
//! Invariant: each frame's slots lie within the stack; those below the base of the next frame are its locals and the
//! operands that are live across the call, so [`Machine::top`] bounds all live slots while a host function runs. While a fiber
//! is suspended it is the end of the topmost frame, or of the arguments of a call that is still to be made.

use super::aggregate::{self, Context};
use super::code::{Body, Code, Op};
use super::memory;
use super::meter::{Point, Stop};
use super::numeric::{self, NoResult};
use super::{exception, reference, table, vector};
use crate::error::{Error, Resource, Result, TrapKind};
use crate::runtime::instance::Instance;
use crate::runtime::store::{Config, Func, FuncKind, PAGE_SIZE, Store};
use crate::runtime::value::{Bits, FuncAddr, Unpacked, i31_signed, slots};

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

/// A call that is still to be made, whose arguments lie at `base`, where the results go too.
#[derive(Clone, Copy)]
struct Pending {
    func: u32,
    base: usize,
}

/// The stacks of an activation chain.
#[derive(Default)]
pub(crate) struct Machine {
    pub(super) stack: Vec<u64>,
    pub(super) frames: Vec<Frame>,
    /// First slot free for a nested call.
    pub(super) top: usize,
    /// What comes before the topmost frame when a fiber goes on.
    pending: Option<Pending>,
    /// A host function's panic on its way to the host.
    pub(super) panic: Option<Box<dyn std::any::Any + Send>>,
}

impl Machine {
    /// Stacks on which nothing is left to do but to call a function whose arguments have been checked.
    pub(super) fn before_call(
        func: FuncAddr,
        args: &[u64],
        results: usize,
        config: &Config,
    ) -> Result<Machine> {
        let pending = Some(Pending { func: func.0, base: 0 });
        let mut machine = Machine { top: args.len(), pending, ..Machine::default() };
        machine.reserve(args.len().max(results), config)?;
        machine.stack[..args.len()].copy_from_slice(args);
        Ok(machine)
    }

    /// Takes the operation back that the topmost frame was in, which has no effect yet: it starts over. A function of its own so
    /// that the loop needs not keep what it was before the operation.
    #[cold]
    #[inline(never)]
    fn start_over(&mut self, top: usize, executed: &mut u64) {
        if let Some(frame) = self.frames.last_mut() {
            frame.pc -= 1;
        }
        *executed -= 1;
        self.top = top;
    }

    /// The slots of all suspended frames.
    pub(crate) fn live_slots(&self) -> &[u64] {
        &self.stack[..self.top]
    }

    /// The slots from the first on, where the outermost call's results are.
    pub(super) fn bottom(&self) -> &[u64] {
        &self.stack
    }

    /// Lets a host function's panic go on, if there was one.
    pub(super) fn resume_panic(&mut self) {
        if let Some(panic) = self.panic.take() {
            std::panic::resume_unwind(panic);
        }
    }

    pub(super) fn reserve(&mut self, end: usize, config: &Config) -> Result<()> {
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

#[cold]
fn no_frame() -> Error {
    Error::crash("frame of an unknown function")
}

#[cold]
pub(super) fn unknown() -> Error {
    Error::crash("unknown function")
}

/// Why the loop over operations stops.
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

    /// Executes a fiber's frames until they have returned or are suspended.
    pub(super) fn go_on(&mut self, machine: &mut Machine) -> Result<(), Stop> {
        if let Some(Pending { func, base }) = machine.pending.take() {
            // What it throws needs no handler: above frames, only functions of wasm are left pending, and their entry throws nothing.
            self.enter(machine, func, base)?;
        }
        self.run(machine, 0, None)
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

    /// Runs `f` above the frames that are there and outside of any turn, restores the machine whatever happens, and gives
    /// the results.
    fn activate(
        &mut self,
        results: usize,
        f: impl FnOnce(&mut Store, &mut Machine, usize) -> Result<(), Stop>,
    ) -> Result<Vec<u64>> {
        if self.host_depth >= self.config.max_host_depth {
            return Err(Error::exhausted(Resource::CallStack));
        }
        let mut machine = std::mem::take(&mut self.machine);
        let outer = self.meter.change_turn(None);
        let (base, entry) = (machine.top, machine.frames.len());
        self.host_depth += 1;
        let outcome = f(self, &mut machine, base);
        self.host_depth -= 1;
        self.meter.change_turn(outer);
        machine.frames.truncate(entry);
        machine.top = base;
        let values = match outcome {
            Ok(()) => machine.stack.get(base..base + results).map(<[u64]>::to_vec),
            Err(_) => None,
        };
        self.machine = machine;
        self.machine.resume_panic();
        match outcome {
            Ok(()) => values.ok_or_else(|| Error::crash("results beyond the stack")),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Suspend(_)) => Err(Error::crash("suspended outside of a turn")),
        }
    }

    /// Spec: function calls. Pushes a frame, or calls a host function at once. Where the entry suspends, the call is
    /// pending.
    pub(super) fn enter(&mut self, machine: &mut Machine, func: u32, base: usize) -> Result<(), Stop> {
        let Func { kind: FuncKind::Wasm { instance, index }, .. } =
            *self.funcs.get(func as usize).ok_or_else(unknown)?
        else {
            return self.call_host(machine, func, base);
        };
        if let Err(stop) = self.meter.charge(1, Point::Control) {
            if matches!(stop, Stop::Suspend(_)) {
                let ty = self.func_type(FuncAddr(func)).ok_or_else(unknown)?;
                machine.top = base + slots(&ty.params);
                machine.pending = Some(Pending { func, base });
            }
            return Err(stop);
        }
        Ok(self.push_frame(machine, (instance, index), base)?)
    }

    /// Pushes the frame of a function whose entry has been charged.
    fn push_frame(&self, machine: &mut Machine, (instance, index): (u32, u32), base: usize) -> Result<()> {
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

    /// Spec: return calls. The arguments at `args` replace the topmost frame. The entry, if it is one of wasm, has been
    /// charged while the frame was there, to start over in it.
    fn enter_instead(&mut self, machine: &mut Machine, func: u32, args: usize) -> Result<(), Stop> {
        let ty = self.func_type(FuncAddr(func)).ok_or_else(unknown)?;
        let params = slots(&ty.params);
        let frame = machine.frames.pop().ok_or_else(|| Error::crash("no frame"))?;
        let base = frame.base as usize;
        machine.reserve(args + params, &self.config)?;
        machine.stack.copy_within(args..args + params, base);
        match self.funcs.get(func as usize).ok_or_else(unknown)?.kind {
            FuncKind::Wasm { instance, index } => Ok(self.push_frame(machine, (instance, index), base)?),
            FuncKind::Host(_) | FuncKind::SharedHost(_) => self.call_host(machine, func, base),
        }
    }

    /// Executes until the frame at depth `entry` has returned.
    fn run(&mut self, machine: &mut Machine, entry: usize, constant: Option<&Body>) -> Result<(), Stop> {
        while machine.frames.len() > entry {
            let mut executed = 0;
            let action = self.run_frames(machine, entry, constant, &mut executed);
            self.instructions += executed;
            let entered = match action? {
                Action::Return => return Ok(()),
                Action::Throw(exception) => self.unwind(machine, entry, exception).map_err(Stop::from),
                Action::Call { func, args, tail: false } => self.enter(machine, func, args),
                Action::Call { func, args, tail: true } => self.enter_instead(machine, func, args),
            };
            match entered {
                Ok(()) => {}
                Err(Stop::Error(error)) => self.throw_on(machine, entry, error)?,
                Err(Stop::Suspend(why)) => return Err(Stop::Suspend(why)),
            }
        }
        Ok(())
    }

    /// Executes the topmost frame, the ones that it calls, and those below it down to depth `entry`, until something
    /// happens that the loop leaves to others.
    #[expect(clippy::too_many_lines, reason = "one arm an operation")]
    fn run_frames(
        &mut self,
        machine: &mut Machine,
        entry: usize,
        constant: Option<&Body>,
        executed: &mut u64,
    ) -> Result<Action, Stop> {
        let (mut instance, mut body): (&Instance, &Body);
        let (mut base, mut pc);
        let mut regs: &mut [u64];
        let mut ops: &[Op];
        let mut count = 0u64;

        // Makes the topmost frame the current one.
        macro_rules! resume {
            () => {
                let frame = *machine.frames.last().ok_or_else(no_frame)?;
                instance = self.instances.get(frame.instance as usize).ok_or_else(no_frame)?;
                body = match constant {
                    Some(body) if frame.body == CONSTANT => body,
                    _ => instance.module.0.bodies.get(frame.body as usize).ok_or_else(no_frame)?,
                };
                base = frame.base as usize;
                regs = machine.stack.get_mut(base..base + body.frame_size as usize).ok_or_else(no_frame)?;
                ops = &body.ops[..];
                pc = frame.pc as usize;
            };
        }
        // Notes where the current frame goes on.
        macro_rules! save {
            () => {
                if let Some(frame) = machine.frames.last_mut() {
                    frame.pc = pc as u32;
                }
            };
        }
        macro_rules! reg {
            ($slot:expr) => {
                regs[$slot as usize]
            };
        }
        macro_rules! numeric {
            ($op:ident, $a:ident => $result:expr) => {{
                let $a = reg!($op.a);
                reg!($op.d) = $result;
            }};
            ($op:ident, $a:ident $b:ident => $result:expr) => {{
                let ($a, $b) = (reg!($op.a), reg!($op.b));
                reg!($op.d) = $result;
            }};
        }
        macro_rules! load {
            ($op:ident, $ty:ty as |$value:ident| $convert:expr) => {{
                let memory = &self.memories[instance.memories[$op.m as usize] as usize];
                match memory::bytes(memory, reg!($op.a), $op.b) {
                    Some(bytes) => {
                        let $value = <$ty>::from_le_bytes(*bytes);
                        reg!($op.d) = $convert;
                    }
                    None => trap!(MemoryOutOfBounds),
                }
            }};
        }
        macro_rules! store {
            ($op:ident, $ty:ty, $value:expr) => {{
                let memory = &mut self.memories[instance.memories[$op.m as usize] as usize];
                match memory::bytes_mut(memory, reg!($op.a), $op.b) {
                    Some(bytes) => *bytes = ($value as $ty).to_le_bytes(),
                    None => trap!(MemoryOutOfBounds),
                }
            }};
        }
        macro_rules! branch {
            ($op:ident, $ty:ty, $compare:tt, $b:expr) => {
                if (reg!($op.a) as $ty) $compare ($b as $ty) {
                    pc = $op.d as usize;
                }
            };
        }
        macro_rules! trap {
            ($kind:ident) => {{
                *executed += count;
                return Err(Error::trap(TrapKind::$kind).into());
            }};
        }
        macro_rules! check {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(error) => {
                        *executed += count;
                        return Err(error.into());
                    }
                }
            };
        }
        // Of what may charge fuel.
        macro_rules! charged {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(stop) => break stop,
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
            ($func:expr, $op:expr) => {{
                let func = $func;
                save!();
                let args = base + $op.d as usize;
                let Some(&Func { kind: FuncKind::Wasm { instance: owner, index }, .. }) =
                    self.funcs.get(func as usize)
                else {
                    *executed += count;
                    return Ok(Action::Call { func, args, tail: false });
                };
                // As in `enter`.
                charged!(self.meter.charge(1, Point::Control));
                if machine.frames.len() >= self.config.max_call_depth as usize {
                    check!(Err(Error::exhausted(Resource::CallStack)));
                }
                instance = self.instances.get(owner as usize).ok_or_else(no_frame)?;
                let index = index - instance.module.0.imported_funcs;
                body = instance.module.0.bodies.get(index as usize).ok_or_else(no_frame)?;
                base = args;
                check!(machine.reserve(base + body.frame_size as usize, &self.config));
                machine.frames.push(Frame { instance: owner, body: index, pc: 0, base: base as u32 });
                regs = machine.stack.get_mut(base..base + body.frame_size as usize).ok_or_else(no_frame)?;
                regs[body.params as usize..body.locals as usize].fill(0);
                ops = &body.ops[..];
                pc = 0;
            }};
        }
        macro_rules! tail_call {
            ($func:expr, $op:expr) => {{
                let func = $func;
                // While the frame is there; a host function is no fuel point.
                if self
                    .funcs
                    .get(func as usize)
                    .is_some_and(|func| matches!(func.kind, FuncKind::Wasm { .. }))
                {
                    charged!(self.meter.charge(1, Point::Control));
                }
                save!();
                *executed += count;
                return Ok(Action::Call { func, args: base + $op.d as usize, tail: true });
            }};
        }
        macro_rules! leave {
            () => {
                machine.frames.pop();
                if machine.frames.len() <= entry {
                    *executed += count;
                    return Ok(Action::Return);
                }
                resume!();
            };
        }

        resume!();
        let stop = loop {
            let op = ops[pc];
            pc += 1;
            count += 1;
            match op.code {
                // Spec: unreachable, blocks and branches.
                Code::Unreachable => trap!(Unreachable),
                Code::Loop => charged!(self.meter.charge(1, Point::Control)),
                Code::Cover => {
                    if let Some(stretch) = body.stretches.get(op.b as usize) {
                        stretch.enter();
                    }
                    // It stands for no instruction.
                    count -= 1;
                }
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
                // Fused comparisons and branches, and operations with an immediate; see `fused`.
                Code::BrI32Eq => branch!(op, u32, ==, reg!(op.b)),
                Code::BrI32Ne => branch!(op, u32, !=, reg!(op.b)),
                Code::BrI32LtS => branch!(op, i32, <, reg!(op.b)),
                Code::BrI32LtU => branch!(op, u32, <, reg!(op.b)),
                Code::BrI32GtS => branch!(op, i32, >, reg!(op.b)),
                Code::BrI32GtU => branch!(op, u32, >, reg!(op.b)),
                Code::BrI32LeS => branch!(op, i32, <=, reg!(op.b)),
                Code::BrI32LeU => branch!(op, u32, <=, reg!(op.b)),
                Code::BrI32GeS => branch!(op, i32, >=, reg!(op.b)),
                Code::BrI32GeU => branch!(op, u32, >=, reg!(op.b)),
                Code::BrI32EqK => branch!(op, u32, ==, op.b),
                Code::BrI32NeK => branch!(op, u32, !=, op.b),
                Code::BrI32LtSK => branch!(op, i32, <, op.b),
                Code::BrI32LtUK => branch!(op, u32, <, op.b),
                Code::BrI32GtSK => branch!(op, i32, >, op.b),
                Code::BrI32GtUK => branch!(op, u32, >, op.b),
                Code::BrI32LeSK => branch!(op, i32, <=, op.b),
                Code::BrI32LeUK => branch!(op, u32, <=, op.b),
                Code::BrI32GeSK => branch!(op, i32, >=, op.b),
                Code::BrI32GeUK => branch!(op, u32, >=, op.b),
                Code::I32EqK => reg!(op.d) = u64::from((reg!(op.a) as u32) == op.b),
                Code::I32NeK => reg!(op.d) = u64::from((reg!(op.a) as u32) != op.b),
                Code::I32LtSK => reg!(op.d) = u64::from((reg!(op.a) as i32) < op.b as i32),
                Code::I32LtUK => reg!(op.d) = u64::from((reg!(op.a) as u32) < op.b),
                Code::I32GtSK => reg!(op.d) = u64::from((reg!(op.a) as i32) > op.b as i32),
                Code::I32GtUK => reg!(op.d) = u64::from((reg!(op.a) as u32) > op.b),
                Code::I32LeSK => reg!(op.d) = u64::from((reg!(op.a) as i32) <= op.b as i32),
                Code::I32LeUK => reg!(op.d) = u64::from((reg!(op.a) as u32) <= op.b),
                Code::I32GeSK => reg!(op.d) = u64::from((reg!(op.a) as i32) >= op.b as i32),
                Code::I32GeUK => reg!(op.d) = u64::from((reg!(op.a) as u32) >= op.b),
                Code::I32AddK => reg!(op.d) = u64::from((reg!(op.a) as u32).wrapping_add(op.b)),
                Code::I32MulK => reg!(op.d) = u64::from((reg!(op.a) as u32).wrapping_mul(op.b)),
                Code::I32AndK => reg!(op.d) = reg!(op.a) & u64::from(op.b),
                Code::I32OrK => reg!(op.d) = reg!(op.a) | u64::from(op.b),
                Code::I32XorK => reg!(op.d) = reg!(op.a) ^ u64::from(op.b),
                Code::I32ShlK => reg!(op.d) = u64::from((reg!(op.a) as u32).wrapping_shl(op.b)),
                Code::I32ShrSK => reg!(op.d) = u64::from((reg!(op.a) as i32).wrapping_shr(op.b) as u32),
                Code::I32ShrUK => reg!(op.d) = u64::from((reg!(op.a) as u32).wrapping_shr(op.b)),
                Code::I32RotlK => reg!(op.d) = u64::from((reg!(op.a) as u32).rotate_left(op.b & 31)),
                Code::I64AddK => reg!(op.d) = reg!(op.a).wrapping_add(i64::from(op.b as i32) as u64),
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
                    leave!();
                }
                Code::Return0 => {
                    leave!();
                }
                Code::Return1 => {
                    reg!(0) = reg!(op.a);
                    leave!();
                }
                // Spec: call, call_ref, call_indirect and their return_ forms.
                Code::Call => call!(instance.funcs[op.b as usize], op),
                Code::ReturnCall => tail_call!(instance.funcs[op.b as usize], op),
                Code::CallRef | Code::ReturnCallRef => {
                    let func = function!(reg!(op.a), NullReference);
                    let ty = self.funcs.get(func as usize).map(|func| func.ty);
                    if !ty.is_some_and(|ty| self.types.is_subtype(ty, instance.types[op.b as usize])) {
                        check!(Err(Error::crash("call_ref of another type")));
                    }
                    if op.code == Code::ReturnCallRef {
                        tail_call!(func, op)
                    }
                    call!(func, op)
                }
                Code::CallIndirect | Code::ReturnCallIndirect => {
                    let table = &self.tables[instance.tables[op.m as usize] as usize];
                    let bits = check!(table::get(table, reg!(op.a)));
                    let func = function!(bits, UninitializedElement);
                    let ty = self.funcs.get(func as usize).map(|func| func.ty);
                    if !ty.is_some_and(|ty| self.types.is_subtype(ty, instance.types[op.b as usize])) {
                        trap!(IndirectCallTypeMismatch);
                    }
                    if op.code == Code::ReturnCallIndirect {
                        tail_call!(func, op)
                    }
                    call!(func, op)
                }
                // Spec: throw, throw_ref.
                Code::Throw => {
                    let tag = instance.tags[op.b as usize];
                    let fields = &regs[op.d as usize..(op.d + op.a) as usize];
                    *executed += count;
                    save!();
                    return exception::allocate(&mut self.heap, &self.types, &self.tags, tag, fields)
                        .map(Action::Throw)
                        .map_err(Stop::from);
                }
                Code::ThrowRef => {
                    let exception = check!(exception::referenced(&self.heap, reg!(op.a)));
                    *executed += count;
                    save!();
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
                    charged!(self.meter.begin_bulk());
                    let memory = &mut self.memories[instance.memories[op.m as usize] as usize];
                    let pages = reg!(op.a);
                    let total = &mut self.total_pages;
                    reg!(op.d) = charged!(memory::grow(memory, pages, &self.config, total, &mut self.meter));
                }
                Code::MemoryFill => {
                    charged!(self.meter.begin_bulk());
                    let memory = &mut self.memories[instance.memories[op.m as usize] as usize];
                    let (at, value, len) = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    charged!(memory::fill(memory, at, value, len, &mut self.meter));
                }
                Code::MemoryCopy => {
                    charged!(self.meter.begin_bulk());
                    let dst = instance.memories[op.m as usize] as usize;
                    let src = instance.memories[op.b as usize] as usize;
                    let operands = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    charged!(memory::copy(&mut self.memories, (dst, src), operands, &mut self.meter));
                }
                Code::MemoryInit => {
                    charged!(self.meter.begin_bulk());
                    let memory = &mut self.memories[instance.memories[op.m as usize] as usize];
                    let data = &self.datas[instance.first_data + op.b as usize];
                    let (at, from, len) = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    let inside = memory::range(from, len, data.len()).is_some()
                        && memory::range(at, len, memory.size).is_some();
                    if !inside {
                        trap!(MemoryOutOfBounds);
                    }
                    charged!(self.meter.charge(memory::byte_cost(len), Point::Bulk));
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
                    charged!(self.meter.begin_bulk());
                    let table = &mut self.tables[instance.tables[op.b as usize] as usize];
                    let (value, count) = (reg!(op.a), reg!(op.a + 1));
                    let total = &mut self.total_elements;
                    reg!(op.a) =
                        charged!(table::grow(table, value, count, &self.config, total, &mut self.meter));
                }
                Code::TableFill => {
                    charged!(self.meter.begin_bulk());
                    let table = &mut self.tables[instance.tables[op.b as usize] as usize];
                    let (at, value, len) = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    charged!(table::fill(table, at, value, len, &mut self.meter));
                }
                Code::TableCopy => {
                    charged!(self.meter.begin_bulk());
                    let dst = instance.tables[op.b as usize] as usize;
                    let src = instance.tables[op.d as usize] as usize;
                    let operands = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    charged!(table::copy(&mut self.tables, (dst, src), operands, &mut self.meter));
                }
                Code::TableInit => {
                    charged!(self.meter.begin_bulk());
                    let table = &mut self.tables[instance.tables[op.b as usize] as usize];
                    let refs = &self.elems[instance.first_elem + op.d as usize];
                    let (at, from, len) = (reg!(op.a), reg!(op.a + 1), reg!(op.a + 2));
                    let inside = memory::range(from, len, refs.len()).is_some()
                        && memory::range(at, len, table.elements.len()).is_some();
                    if !inside {
                        trap!(TableOutOfBounds);
                    }
                    charged!(self.meter.charge(len, Point::Bulk));
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
                        meter: &mut self.meter,
                        ids: &instance.types,
                        elems: &self.elems[instance.first_elem..],
                        datas: &self.datas[instance.first_data..],
                    };
                    charged!(context.step(op, regs));
                }
                // Spec: load.
                Code::I32Load | Code::F32Load | Code::I64Load32U => load!(op, u32 as |v| u64::from(v)),
                Code::I64Load | Code::F64Load => load!(op, u64 as |v| v),
                Code::I32Load8U | Code::I64Load8U => load!(op, u8 as |v| u64::from(v)),
                Code::I32Load16U | Code::I64Load16U => load!(op, u16 as |v| u64::from(v)),
                Code::I32Load8S => load!(op, i8 as |v| u64::from(i32::from(v) as u32)),
                Code::I32Load16S => load!(op, i16 as |v| u64::from(i32::from(v) as u32)),
                Code::I64Load8S => load!(op, i8 as |v| i64::from(v) as u64),
                Code::I64Load16S => load!(op, i16 as |v| i64::from(v) as u64),
                Code::I64Load32S => load!(op, i32 as |v| i64::from(v) as u64),
                // Spec: store.
                Code::I32Store | Code::F32Store | Code::I64Store32 => store!(op, u32, reg!(op.d)),
                Code::I32StoreK => store!(op, u32, op.d),
                Code::I32Store8K => store!(op, u8, op.d),
                Code::I32Store16K => store!(op, u16, op.d),
                Code::I64Store | Code::F64Store => store!(op, u64, reg!(op.d)),
                Code::I32Store8 | Code::I64Store8 => store!(op, u8, reg!(op.d)),
                Code::I32Store16 | Code::I64Store16 => store!(op, u16, reg!(op.d)),
                // Spec: i32 tests and comparisons (ieqz, ieq, ilt …).
                Code::I32Eqz => numeric!(op, a => numeric::test(a as u32 == 0)),
                Code::I32Eq => numeric!(op, a b => numeric::test(a as u32 == b as u32)),
                Code::I32Ne => numeric!(op, a b => numeric::test(a as u32 != b as u32)),
                Code::I32LtS => numeric!(op, a b => numeric::test((a as i32) < b as i32)),
                Code::I32LtU => numeric!(op, a b => numeric::test((a as u32) < b as u32)),
                Code::I32GtS => numeric!(op, a b => numeric::test(a as i32 > b as i32)),
                Code::I32GtU => numeric!(op, a b => numeric::test(a as u32 > b as u32)),
                Code::I32LeS => numeric!(op, a b => numeric::test((a as i32) <= b as i32)),
                Code::I32LeU => numeric!(op, a b => numeric::test((a as u32) <= b as u32)),
                Code::I32GeS => numeric!(op, a b => numeric::test(a as i32 >= b as i32)),
                Code::I32GeU => numeric!(op, a b => numeric::test(a as u32 >= b as u32)),
                // Spec: i64 tests and comparisons (ieqz, ieq, ilt …).
                Code::I64Eqz => numeric!(op, a => numeric::test(a as u64 == 0)),
                Code::I64Eq => numeric!(op, a b => numeric::test(a as u64 == b as u64)),
                Code::I64Ne => numeric!(op, a b => numeric::test(a as u64 != b as u64)),
                Code::I64LtS => numeric!(op, a b => numeric::test((a as i64) < b as i64)),
                Code::I64LtU => numeric!(op, a b => numeric::test((a as u64) < b as u64)),
                Code::I64GtS => numeric!(op, a b => numeric::test(a as i64 > b as i64)),
                Code::I64GtU => numeric!(op, a b => numeric::test(a as u64 > b as u64)),
                Code::I64LeS => numeric!(op, a b => numeric::test((a as i64) <= b as i64)),
                Code::I64LeU => numeric!(op, a b => numeric::test((a as u64) <= b as u64)),
                Code::I64GeS => numeric!(op, a b => numeric::test(a as i64 >= b as i64)),
                Code::I64GeU => numeric!(op, a b => numeric::test(a as u64 >= b as u64)),
                // Spec: i32 arithmetic (iclz … irotr).
                Code::I32Clz => numeric!(op, a => u64::from((a as u32).leading_zeros())),
                Code::I32Ctz => numeric!(op, a => u64::from((a as u32).trailing_zeros())),
                Code::I32Popcnt => numeric!(op, a => u64::from((a as u32).count_ones())),
                Code::I32Add => numeric!(op, a b => u64::from((a as u32).wrapping_add(b as u32))),
                Code::I32Sub => numeric!(op, a b => u64::from((a as u32).wrapping_sub(b as u32))),
                Code::I32Mul => numeric!(op, a b => u64::from((a as u32).wrapping_mul(b as u32))),
                Code::I32And => numeric!(op, a b => a & b),
                Code::I32Or => numeric!(op, a b => a | b),
                Code::I32Xor => numeric!(op, a b => a ^ b),
                Code::I32Shl => numeric!(op, a b => u64::from((a as u32).wrapping_shl(b as u32))),
                Code::I32ShrS => numeric!(op, a b => numeric::u32_bits((a as i32).wrapping_shr(b as u32))),
                Code::I32ShrU => numeric!(op, a b => u64::from((a as u32).wrapping_shr(b as u32))),
                Code::I32Rotl => numeric!(op, a b => u64::from((a as u32).rotate_left(b as u32 & 31))),
                Code::I32Rotr => numeric!(op, a b => u64::from((a as u32).rotate_right(b as u32 & 31))),
                // Spec: i64 arithmetic (iclz … irotr).
                Code::I64Clz => numeric!(op, a => u64::from(a.leading_zeros())),
                Code::I64Ctz => numeric!(op, a => u64::from(a.trailing_zeros())),
                Code::I64Popcnt => numeric!(op, a => u64::from(a.count_ones())),
                Code::I64Add => numeric!(op, a b => a.wrapping_add(b)),
                Code::I64Sub => numeric!(op, a b => a.wrapping_sub(b)),
                Code::I64Mul => numeric!(op, a b => a.wrapping_mul(b)),
                Code::I64And => numeric!(op, a b => a & b),
                Code::I64Or => numeric!(op, a b => a | b),
                Code::I64Xor => numeric!(op, a b => a ^ b),
                Code::I64Shl => numeric!(op, a b => a.wrapping_shl(b as u32)),
                Code::I64ShrS => numeric!(op, a b => (a as i64).wrapping_shr(b as u32) as u64),
                Code::I64ShrU => numeric!(op, a b => a.wrapping_shr(b as u32)),
                Code::I64Rotl => numeric!(op, a b => a.rotate_left(b as u32 & 63)),
                Code::I64Rotr => numeric!(op, a b => a.rotate_right(b as u32 & 63)),
                // Spec: conversions between integers.
                Code::I32WrapI64 => numeric!(op, a => u64::from(a as u32)),
                Code::I64ExtendI32S => numeric!(op, a => i64::from(a as i32) as u64),
                Code::I64ExtendI32U => numeric!(op, a => u64::from(a as u32)),
                Code::I32Extend8S => numeric!(op, a => numeric::u32_bits(i32::from(a as i8))),
                Code::I32Extend16S => numeric!(op, a => numeric::u32_bits(i32::from(a as i16))),
                Code::I64Extend8S => numeric!(op, a => i64::from(a as i8) as u64),
                Code::I64Extend16S => numeric!(op, a => i64::from(a as i16) as u64),
                Code::I64Extend32S => numeric!(op, a => i64::from(a as i32) as u64),
                // Spec: the other numeric instructions.
                _ => match numeric::evaluate(op, regs) {
                    Ok(value) => reg!(op.d) = value,
                    Err(NoResult::Trap(kind)) => check!(Err(Error::trap(kind))),
                    Err(NoResult::NotNumeric) => check!(Err(Error::crash("operation without an execution"))),
                },
            }
        };
        *executed += count;
        if matches!(stop, Stop::Suspend(_)) {
            save!();
            machine.start_over(base + body.frame_size as usize, executed);
        }
        Err(stop)
    }
}
