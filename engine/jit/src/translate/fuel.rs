//! Fuel, safepoints, and the points at which a fiber may be suspended.
//!
//! Functions' entries and loops' headers cost one unit and are points of both kinds of turn, fuel and epochs; bulk
//! operations are points of fuel before anything else of the instruction, whatever it costs. Where a turn is over, a
//! cold call of [`Builtin::Point`] suspends the fiber: it is a safepoint like others, so all references that live on have
//! slots there.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};
use wasmparser::Operator;

use super::FuncTranslator;
use super::region::Region;
use crate::TrapCode;
use crate::builtins::Builtin;
use crate::vmctx::StoreCtx;

/// Whether a fiber may be suspended before the instruction: those that charge fuel by what they move or make.
pub(super) fn is_bulk(op: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        op,
        O::ArrayNew { .. }
            | O::ArrayNewDefault { .. }
            | O::ArrayNewFixed { .. }
            | O::ArrayNewData { .. }
            | O::ArrayNewElem { .. }
            | O::ArrayFill { .. }
            | O::ArrayCopy { .. }
            | O::ArrayInitData { .. }
            | O::ArrayInitElem { .. }
            | O::MemoryGrow { .. }
            | O::MemoryFill { .. }
            | O::MemoryCopy { .. }
            | O::MemoryInit { .. }
            | O::TableGrow { .. }
            | O::TableFill { .. }
            | O::TableCopy { .. }
            | O::TableInit { .. }
    )
}

impl FuncTranslator<'_> {
    /// A function's entry or an arrival at a loop's header.
    pub(super) fn fuel_point(&mut self) {
        if self.options.yields {
            let mut over = self.epoch_over();
            if self.options.fuel {
                let spent = self.fuel_spent();
                over = self.b.ins().bor(over, spent);
            }
            self.point_if(over, 1);
        }
        if self.options.fuel {
            let left = self.take_fuel(1);
            // The point has seen to it.
            if !self.options.yields {
                let out = self.compare_to(IntCC::SignedLessThan, left, 0);
                self.trap_if(out, TrapCode::OutOfFuel);
            }
        }
    }

    /// The beginning of a bulk operation, with its operands on the stack.
    pub(super) fn bulk_point(&mut self) {
        if self.options.yields && self.options.fuel {
            let spent = self.fuel_spent();
            self.point_if(spent, 0);
        }
    }

    /// Charges the inline allocation of an array, as `Builtin::AllocArray` does on the slow path.
    pub(crate) fn charge_elements(&mut self, elements: u32) {
        if !self.options.fuel || elements == 0 {
            return;
        }
        let mut left = self.take_fuel(elements);
        if self.options.yields {
            // A turn may take more than its share, the budget may not.
            let store = self.store();
            let flags = self.flags(Region::Fuel);
            let at = offset_of!(StoreCtx, fuel_reserve) as i32;
            let reserve = self.b.ins().load(I64, flags, store, at);
            left = self.b.ins().iadd(left, reserve);
        }
        let out = self.compare_to(IntCC::SignedLessThan, left, 0);
        self.trap_if(out, TrapCode::OutOfFuel);
    }

    /// A safepoint at which nothing else happens, if code is to have them.
    pub(super) fn poll(&mut self) {
        if self.options.polls {
            self.builtin(Builtin::Safepoint, &[]);
        }
    }

    /// Takes fuel; what is left of the turn.
    fn take_fuel(&mut self, cost: u32) -> Value {
        let store = self.store();
        let flags = self.flags(Region::Fuel);
        let at = offset_of!(StoreCtx, fuel) as i32;
        let fuel = self.b.ins().load(I64, flags, store, at);
        let left = self.plus(fuel, -i64::from(cost));
        self.b.ins().store(flags, left, store, at);
        left
    }

    /// Whether the turn's fuel, or all, is used up.
    fn fuel_spent(&mut self) -> Value {
        let store = self.store();
        let flags = self.flags(Region::Fuel);
        let fuel = self.b.ins().load(I64, flags, store, offset_of!(StoreCtx, fuel) as i32);
        self.compare_to(IntCC::SignedLessThanOrEqual, fuel, 0)
    }

    /// Whether the turn's last epoch is past. Both loads are of what calls change, and each loop's header is followed by
    /// a block with a call, so no load stands for that of another round.
    fn epoch_over(&mut self) -> Value {
        let store = self.store();
        let flags = self.flags(Region::Store);
        let epoch = self.b.ins().load(I64, flags, store, offset_of!(StoreCtx, epoch) as i32);
        let epoch = self.b.ins().load(I64, flags, epoch, 0);
        let at = offset_of!(StoreCtx, epoch_deadline) as i32;
        let deadline = self.b.ins().load(I64, flags, store, at);
        self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, epoch, deadline)
    }

    /// Calls the runtime if `over` is not zero.
    fn point_if(&mut self, over: Value, cost: u32) {
        let (point, next) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(point);
        let before = self.mark();
        self.b.ins().brif(over, point, &[], next, &[]);
        self.enter(point);
        let cost = self.iconst32(cost);
        self.builtin(Builtin::Point, &[cost]);
        self.b.ins().jump(next, &[]);
        self.b.seal_block(next);
        self.join(next, before);
    }
}
