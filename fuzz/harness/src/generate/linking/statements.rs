//! Statements: what functions do with objects, tables, functions, exceptions and memories that several instances share.
//!
//! Invariant: nothing traps but the last statement of an entry function, and callbacks are called only where the budget
//! bounds them.

use wasm_encoder::{
    AbstractHeapType as Abstract, BlockType, Catch, CompositeInnerType, HeapType, MemArg, MemArgTarget,
    RefType, ValType,
};

use super::Generator;
use super::expressions::ANY;
use super::module::{CALL, Entity, GC, Item, KEEP, KEPT, LOG_REF, Role};
use super::world::{CONTENT, HELD, KEY, NEXT, heap, nullable};

/// A statement.
#[derive(Clone, Copy)]
enum Statement {
    PushFront,
    Link,
    Read,
    Across,
    Identity,
    Objects,
    Bag,
    StoreFunction,
    CallFunction,
    Catch,
    Host,
    Notify,
    Memory,
    Casts,
}

/// Bytes of code after which no statement begins.
const ROOM: usize = 700;

impl Generator<'_, '_> {
    pub(super) fn statements(&mut self, n: usize) {
        for _ in 0..n {
            if self.f.len() < ROOM {
                self.statement();
            }
        }
    }

    fn statement(&mut self) {
        let statement = self.c.weighted(&[
            (4, Statement::PushFront),
            (3, Statement::Link),
            (4, Statement::Read),
            (4, Statement::Across),
            (1, Statement::Identity),
            (4, Statement::Objects),
            (2, Statement::Bag),
            (3, Statement::StoreFunction),
            (4, Statement::CallFunction),
            (3, Statement::Catch),
            (2, Statement::Host),
            (1, Statement::Notify),
            (2, Statement::Memory),
            (3, Statement::Casts),
        ]);
        match statement {
            Statement::PushFront => self.push_front(),
            Statement::Link => self.link(),
            Statement::Read => self.read(),
            Statement::Across => self.across(),
            Statement::Identity => {
                self.node(2);
                self.node(1);
                self.f.op().ref_eq();
                self.add_i32();
            }
            Statement::Objects => self.objects(),
            Statement::Bag => self.bag_elements(),
            Statement::StoreFunction => self.store_function(),
            Statement::CallFunction if self.f.calls => self.call_function(),
            Statement::CallFunction | Statement::Casts => self.casts(),
            Statement::Catch => self.catch(),
            Statement::Host => self.host(),
            Statement::Notify => match self.some(Role::Notify) {
                Some(item) if self.c.chance(1, 2) => {
                    self.m.refer(item.index);
                    self.f.op().ref_func(item.index).call(CALL);
                }
                Some(item) => {
                    self.f.op().call(item.index);
                }
                None => self.read(),
            },
            Statement::Memory => self.memory(),
        }
        if self.c.chance(1, 3) {
            self.collect();
        }
    }

    /// A new node at the head of a list, or of a ring.
    pub(super) fn push_front(&mut self) {
        let Some(head) = self.some(Role::Head) else { return };
        let (node, a) = (self.ty(self.world.node()), self.f.a);
        self.fresh_node(2);
        self.f.op().local_set(a);
        if self.c.chance(1, 3) {
            self.collect();
        }
        self.f.op().local_get(a).global_get(head.index).struct_set(node, NEXT);
        self.f.op().local_get(a).global_set(head.index);
    }

    /// Changes a node, whoever made it: its successor, its content or its key.
    fn link(&mut self) {
        let (node, a) = (self.ty(self.world.node()), self.f.a);
        self.node(3);
        self.f.op().local_tee(a).ref_is_null().i32_eqz().if_(BlockType::Empty);
        self.f.op().local_get(a);
        match self.c.below(4) {
            0 | 1 => {
                self.node(2);
                self.f.op().struct_set(node, NEXT);
            }
            2 => {
                self.anything(3);
                self.f.op().struct_set(node, CONTENT);
            }
            _ => {
                self.f.op().local_get(a).struct_get(node, KEY).i32_const(1).i32_xor();
                self.f.op().struct_set(node, KEY);
            }
        }
        self.f.op().end();
    }

    /// A checksum of what a node, or anything, leads to.
    pub(super) fn read(&mut self) {
        match self.some(Role::Anything) {
            Some(item) if self.c.chance(1, 4) => {
                self.f.op().global_get(item.index);
            }
            _ => self.node(3),
        }
        if self.c.chance(1, 3) {
            self.collect();
        }
        self.f.op().call(self.walk);
        self.add();
    }

    /// A new object goes through a function of another instance while a second one waits on the operand stack.
    fn across(&mut self) {
        let (node, a, b) = (self.ty(self.world.node()), self.f.a, self.f.b);
        self.fresh_node(1);
        self.fresh_node(1);
        match self.some(Role::Relay) {
            Some(relay) => {
                self.f.op().call(relay.index);
            }
            None => {
                self.f.op().call(GC);
            }
        }
        self.f.op().local_set(a).local_tee(b).struct_get(node, KEY);
        self.add_i32();
        self.f.op().local_get(a).call(self.walk);
        self.add();
    }

    /// Works on a table of objects.
    fn objects(&mut self) {
        let Some(item) = self.some(Role::Objects) else { return };
        let Entity::Table { element, min, .. } = item.entity else { return };
        let (table, at) = (item.index, self.c.below(min as usize));
        let length = self.c.below(min as usize - at + 1) as i32;
        let at = at as i32;
        match self.c.below(7) {
            0 | 1 => {
                self.f.op().i32_const(at);
                self.node(2);
                self.f.op().table_set(table);
            }
            2 => {
                self.node(2);
                let delta = self.c.below(3) as i32;
                self.f.op().i32_const(delta).table_grow(table);
                self.add_i32();
            }
            3 => {
                self.f.op().i32_const(at);
                self.node(2);
                self.f.op().i32_const(length).table_fill(table);
            }
            4 => self.copy(table, element, min),
            5 => {
                let Some(segment) = self.m.segment else { return };
                let length = segment.min(min);
                self.f.op().i32_const((min - length) as i32).i32_const(0).i32_const(length as i32);
                self.f.op().table_init(table, 0);
            }
            _ => {
                let x = self.f.x;
                self.f.op().table_size(table);
                self.add_i32();
                // The last element: others may have made it.
                self.f.op().table_size(table).i32_const(1).i32_sub().table_get(table).local_tee(x);
                self.f.op().call(self.walk);
                self.add();
            }
        }
    }

    /// Copies between tables where the types allow it.
    fn copy(&mut self, to: u32, element: RefType, min: u32) {
        let node = self.world.node_ref();
        let Some(from) = self.some(Role::Objects) else { return };
        let Entity::Table { element: other, min: other_min, .. } = from.entity else { return };
        let fits = other == element || element == RefType::ANYREF || ValType::Ref(other) == node;
        let (from, from_min) = if fits { (from.index, other_min) } else { (to, min) };
        let length = self.c.range(1, min.min(from_min) as usize) as u32;
        self.f.op().i32_const((min - length) as i32).i32_const(0).i32_const(length as i32);
        self.f.op().table_copy(to, from);
    }

    /// Works on the array that a node holds, or gives it one.
    fn bag_elements(&mut self) {
        let (node, bag, a, x) = (self.ty(self.world.node()), self.ty(self.world.bag), self.f.a, self.f.x);
        self.node(2);
        self.f.op().local_tee(a).ref_is_null().i32_eqz().if_(BlockType::Empty);
        let local = self.f.local(ValType::Ref(nullable(HeapType::Concrete(bag))));
        self.f.op().local_get(a).struct_get(node, CONTENT).local_tee(x);
        self.f.op().ref_test_non_null(HeapType::Concrete(bag)).if_(BlockType::Empty);
        self.f.op().local_get(x).ref_cast_non_null(HeapType::Concrete(bag)).local_tee(local);
        self.f.op().array_len().if_(BlockType::Empty);
        self.f.op().local_get(local).i32_const(0);
        match self.c.below(3) {
            0 => {
                self.anything(2);
                self.f.op().array_set(bag);
            }
            1 => {
                self.node(1);
                self.f.op().i32_const(1).array_fill(bag);
            }
            _ => {
                self.f.op().local_get(local);
                self.f.op().local_get(local).array_len().i32_const(1).i32_sub();
                self.f.op().i32_const(1).array_copy(bag, bag);
            }
        }
        self.f.op().end().else_();
        self.f.op().local_get(a);
        (0..2).for_each(|_| self.anything(2));
        self.f.op().array_new_fixed(bag, 2).struct_set(node, CONTENT).end().end();
    }

    /// A callback goes to where other instances find it.
    fn store_function(&mut self) {
        let callback = self.world.callbacks[0];
        match (self.c.below(3), self.some(Role::Functions), self.some(Role::Held)) {
            (0 | 1, Some(item), _) => {
                let Entity::Table { element, min, .. } = item.entity else { return };
                let at = self.c.below(min as usize) as i32;
                let ty = if element == RefType::FUNCREF { None } else { Some(callback) };
                let grow = self.c.chance(1, 5);
                if !grow {
                    self.f.op().i32_const(at);
                }
                self.function(ty);
                if grow {
                    self.f.op().i32_const(1).table_grow(item.index);
                    self.add_i32();
                } else {
                    self.f.op().table_set(item.index);
                }
            }
            (.., Some(item)) => {
                self.function(Some(callback));
                self.f.op().global_set(item.index);
            }
            (.., None) => {}
        }
    }

    /// Leaves a funcref from where other instances store functions; the table and element if it is one's.
    fn stored_function(&mut self) -> Option<(u32, i32)> {
        let (holder, x) = (self.ty(self.world.holder), self.f.x);
        match (self.c.below(5), self.some(Role::Functions), self.some(Role::Held)) {
            (0..3, Some(item), _) => {
                let Entity::Table { min, .. } = item.entity else { return None };
                let at = self.c.below(min as usize) as i32;
                self.f.op().i32_const(at).table_get(item.index);
                Some((item.index, at))
            }
            (3, _, Some(item)) => {
                self.f.op().global_get(item.index);
                None
            }
            _ => {
                let (node, a) = (self.ty(self.world.node()), self.f.a);
                self.node(2);
                self.f
                    .op()
                    .local_tee(a)
                    .ref_is_null()
                    .if_(BlockType::Result(ANY))
                    .ref_null(heap(Abstract::None));
                self.f.op().else_().local_get(a).struct_get(node, CONTENT).end().local_tee(x);
                self.f.op().ref_test_non_null(HeapType::Concrete(holder));
                self.f.op().if_(BlockType::Result(ValType::Ref(RefType::FUNCREF)));
                self.f.op().local_get(x).ref_cast_non_null(HeapType::Concrete(holder));
                self.f.op().struct_get(holder, HELD).else_();
                self.function(None);
                self.f.op().end();
                None
            }
        }
    }

    /// The number that a callback is given.
    fn number(&mut self) {
        match self.f.n {
            Some(n) => {
                self.f.op().local_get(n);
            }
            None => {
                let n = self.c.i32();
                self.f.op().i32_const(n);
            }
        }
    }

    /// A callback to call by its index, now and then: decoys may take no nodes.
    fn known_callback(&mut self) -> Option<u32> {
        let takes_nodes = |item: &Item| match item.entity {
            Entity::Typed(ty) => self.world.callbacks.contains(&ty),
            _ => false,
        };
        let callbacks: Vec<u32> = self
            .m
            .of(Role::Callback)
            .iter()
            .filter(|item| takes_nodes(item))
            .map(|item| item.index)
            .collect();
        if callbacks.is_empty() || self.c.chance(3, 4) { None } else { Some(self.c.pick(&callbacks)) }
    }

    /// The first argument of a callback of type `ty`: null where it takes no nodes.
    fn node_for(&mut self, ty: u32) {
        let param = match &self.world.defs[ty as usize].composite_type.inner {
            CompositeInnerType::Func(ty) => ty.params().first().copied(),
            _ => None,
        };
        match param {
            Some(ValType::Ref(RefType { heap_type: HeapType::Concrete(taken), .. }))
                if taken >= self.world.first_decoy =>
            {
                let own = self.concrete(taken);
                self.f.op().ref_null(own);
            }
            _ => self.node(1),
        }
    }

    /// Calls a function of another instance, found in a table, a global, a field, or imported.
    fn call_function(&mut self) {
        if let Some(callback) = self.known_callback() {
            self.node(2);
            self.number();
            self.f.op().call(callback);
            return self.add();
        }
        let f = self.f.f;
        let place = self.stored_function();
        self.f.op().local_set(f);
        self.classify(f, true, 3);
        self.add_i32();
        // Equal, below or above what the function has: then it is called, else not.
        let callback = self.c.pick(&self.world.callbacks);
        let own = self.ty(callback);
        self.f.op().local_get(f).ref_test_non_null(HeapType::Concrete(own)).if_(BlockType::Empty);
        self.node(2);
        if self.c.chance(1, 3) {
            self.collect();
        }
        self.number();
        self.checked_call(own, place);
        self.add();
        self.f.op().end();
    }

    /// Calls the tested function in local `f`.
    fn checked_call(&mut self, own: u32, place: Option<(u32, i32)>) {
        let f = self.f.f;
        match place.filter(|_| self.c.chance(1, 2)) {
            // It goes there again first: another fiber may have stored a different one.
            Some((table, at)) => {
                self.f.op().i32_const(at).local_get(f);
                self.place_again(table);
                self.f.op().i32_const(at).call_indirect(table, own);
            }
            None => {
                self.f.op().local_get(f).ref_cast_non_null(HeapType::Concrete(own)).call_ref(own);
            }
        }
    }

    /// Takes an index and a funcref that the table held, and stores it.
    fn place_again(&mut self, table: u32) {
        let element = self.m.of(Role::Functions).into_iter().find(|item| item.index == table);
        if let Some(Entity::Table { element: RefType { heap_type: HeapType::Concrete(of), .. }, .. }) =
            element.map(|item| item.entity)
        {
            let own = self.concrete(of);
            self.f.op().ref_cast_nullable(own);
        }
        self.f.op().table_set(table);
    }

    /// Ends a callback by calling another one in its place, if there is one.
    pub(super) fn tail_call(&mut self) {
        if !self.c.within.tail_calls {
            return;
        }
        if let Some(callback) = self.known_callback() {
            self.node(1);
            self.number();
            self.f.op().return_call(callback);
            return;
        }
        let f = self.f.f;
        let place = self.stored_function();
        self.f.op().local_set(f);
        let callback = self.c.pick(&self.world.callbacks);
        let own = self.ty(callback);
        self.f.op().local_get(f).ref_test_non_null(HeapType::Concrete(own)).if_(BlockType::Empty);
        self.node(1);
        self.number();
        match place.filter(|_| self.c.chance(1, 2)) {
            Some((table, at)) => {
                self.f.op().i32_const(at).local_get(f);
                self.place_again(table);
                self.f.op().i32_const(at).return_call_indirect(table, own);
            }
            None => {
                self.f.op().local_get(f).ref_cast_non_null(HeapType::Concrete(own)).return_call_ref(own);
            }
        }
        self.f.op().end();
    }

    /// Catches what a function of another instance throws: by one tag, by another of the same type, or by none.
    fn catch(&mut self) {
        let (Some(thrower), Some(first), Some(second)) =
            (self.some(Role::Thrower), self.some(Role::Tag), self.some(Role::Tag))
        else {
            return;
        };
        let node = self.world.node_ref();
        let payload = self.m.view.function(&mut self.c, &[], &[node, ValType::I32]);
        let payload = BlockType::FunctionType(payload);
        let (a, sum) = (self.f.a, self.f.sum);
        self.f.op().block(BlockType::Empty).block(payload).block(payload);
        self.f.block(ValType::Ref(RefType::EXNREF));
        let all = if self.c.chance(3, 4) { Catch::AllRef { label: 0 } } else { Catch::All { label: 3 } };
        let catches =
            [Catch::One { tag: second.index, label: 1 }, Catch::One { tag: first.index, label: 2 }, all];
        self.f.op().try_table(BlockType::Empty, catches);
        self.number();
        self.f.op().call(thrower.index).end().br(3).end();
        // By no tag: the same exception is thrown on to a handler of this function.
        let again = self.f.local(ValType::Ref(RefType::EXNREF));
        self.f.op().local_set(again).local_get(sum).i64_const(3).i64_xor().local_set(sum);
        if self.c.chance(1, 2) {
            self.collect();
            self.f.op().block(payload);
            let catches = [Catch::One { tag: first.index, label: 0 }, Catch::All { label: 3 }];
            self.f.op().try_table(BlockType::Empty, catches);
            self.f.op().local_get(again).throw_ref().end().unreachable().end().br(0);
        } else {
            self.f.op().br(2);
        }
        self.f.op().end();
        self.f.op().i32_const(2).i32_add();
        self.add_i32();
        self.f.op().local_set(a).br(1).end();
        self.add_i32();
        self.f.op().local_set(a);
        if self.c.chance(1, 2) {
            self.collect();
        }
        self.f.op().local_get(a).call(self.walk);
        self.add();
        self.f.op().end();
    }

    /// The host keeps, gives back, logs and drops.
    fn host(&mut self) {
        match self.c.below(3) {
            0 => {
                self.anything(3);
                self.f.op().call(KEEP);
            }
            1 => {
                self.anything(2);
                self.f.op().call(LOG_REF);
            }
            _ => {
                let at = self.c.below(4) as i32;
                self.f.op().i32_const(at).call(KEPT).call(self.walk);
                self.add();
            }
        }
    }

    /// Works on a memory.
    fn memory(&mut self) {
        let Some(memory) = self.some(Role::Memory).map(|item| item.index) else { return };
        let mem = MemArg { offset: 0, align: 0, target: MemArgTarget::Memory(memory), ordering: None };
        let at = self.c.below(40) as i32;
        match self.c.below(5) {
            0 => {
                self.f.op().i32_const(1).memory_grow(memory);
                self.add_i32();
            }
            1 => {
                self.f.op().memory_size(memory).if_(BlockType::Empty);
                self.f.op().i32_const(at).i32_const(at ^ 0x55).i32_const(9).memory_fill(memory).end();
            }
            2 => {
                self.f.op().memory_size(memory).if_(BlockType::Empty);
                self.f.op().i32_const(at).i32_const(8).i32_const(7).memory_copy(memory, memory).end();
            }
            3 => {
                let sum = self.f.sum;
                self.f.op().memory_size(memory).if_(BlockType::Empty);
                self.f.op().i32_const(at).local_get(sum).i64_store(mem).end();
            }
            _ => {
                self.f.op().memory_size(memory).if_(BlockType::Empty);
                self.f.op().i32_const(at).i64_load(mem);
                self.add();
                self.f.op().end();
            }
        }
    }

    /// Casts that branch, of an object that another instance may have made.
    fn casts(&mut self) {
        let x = self.f.x;
        match self.some(Role::Anything) {
            Some(item) if self.c.chance(1, 3) => {
                self.f.op().global_get(item.index);
            }
            _ => self.node(3),
        }
        self.f.op().local_set(x);
        let tests = self.c.range(1, 4);
        self.classify(x, false, tests);
        self.add_i32();
        let Some(ty) = self.declared(|g, ty| !g.world.is_func(ty)) else { return };
        let to = nullable(self.concrete(ty));
        let sum = self.f.sum;
        self.f.block(ANY);
        self.f.op().local_get(x);
        if self.c.chance(1, 2) {
            self.f.op().br_on_cast(0, RefType::ANYREF, to);
        } else {
            self.f.op().br_on_cast_fail(0, RefType::ANYREF, to);
        }
        self.f.op().local_get(sum).i64_const(0x77).i64_xor().local_set(sum);
        self.f.op().end().drop();
        if let Some(item) = self.some(Role::Anything).filter(|_| self.c.chance(1, 3)) {
            self.anything(3);
            self.f.op().global_set(item.index);
        }
    }

    /// Something that traps, or throws to the host, if the types are not what they look like.
    pub(super) fn trap(&mut self) {
        let x = self.f.x;
        let callback = |g: &mut Self| g.declared(|g, ty| g.is_callback(ty));
        match (self.c.below(6), self.some(Role::Functions), callback(self)) {
            (0 | 1, Some(item), Some(ty)) => {
                let Entity::Table { min, .. } = item.entity else { return };
                let own = self.ty(ty);
                self.node_for(ty);
                self.number();
                let at = self.c.below(min as usize + 1) as i32;
                self.f.op().i32_const(at).call_indirect(item.index, own);
                self.add();
            }
            (2, _, Some(ty)) => {
                let own = self.ty(ty);
                let f = self.f.f;
                self.stored_function();
                self.f.op().local_set(f);
                self.node_for(ty);
                self.number();
                self.f.op().local_get(f).ref_cast_nullable(HeapType::Concrete(own)).call_ref(own);
                self.add();
            }
            (3, ..) => {
                if let Some(thrower) = self.some(Role::Thrower) {
                    self.f.op().i32_const(2).call(thrower.index);
                }
            }
            (4, ..) => {
                let a = self.f.a;
                let node = self.ty(self.world.node());
                self.node(2);
                self.f.op().local_tee(a).struct_get(node, KEY);
                self.add_i32();
            }
            _ => {
                self.node(2);
                self.f.op().local_set(x);
                let Some(ty) = self.declared(|g, ty| !g.world.is_func(ty)) else { return };
                let ty = self.concrete(ty);
                self.f.op().local_get(x).ref_cast_non_null(ty).drop();
            }
        }
    }
}
