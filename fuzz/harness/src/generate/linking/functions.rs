//! Functions of each module: the walker that reads objects back, those of the roles that other modules import, entries.

use wasm_encoder::{BlockType, CompositeInnerType, HeapType, RefType, StorageType, ValType};

use super::Generator;
use super::body::Body;
use super::expressions::ANY;
use super::module::{Entity, GC, LOG_I32, Role, WAIT};
use super::world::{CONTENT, HELD_ANY, KEY, NEXT, non_null, nullable};

/// Objects that one walk visits.
const VISITS: i32 = 10;

/// Calls of callbacks that one call of an entry function makes.
const BUDGET: i32 = 8;

impl Generator<'_, '_> {
    pub(super) fn functions(&mut self) {
        self.walker();
        if self.defines(Role::Maker) {
            self.maker();
        }
        if self.defines(Role::Relay) {
            self.relay();
        }
        if self.defines(Role::Notify) {
            let body = self.body(0, |g| {
                let n = g.c.range(1, 2);
                g.statements(n);
            });
            self.role(Role::Notify, Entity::Function(Vec::new(), Vec::new()), &body);
        }
        if self.defines(Role::Thrower) {
            self.thrower();
        }
        for _ in 0..if self.large { self.c.range(1, 2) } else { 1 } {
            self.callback();
        }
    }

    /// A body whose variables are set: `emit` goes on from there. Its parameters are all numbers, the first is `n`.
    pub(super) fn body(&mut self, params: u32, emit: impl FnOnce(&mut Self)) -> Body {
        let outer = std::mem::replace(&mut self.f, Body::new(params));
        let node = self.node_ref();
        self.f.sum = self.f.local(ValType::I64);
        self.f.a = self.f.local(node);
        self.f.b = self.f.local(node);
        self.f.x = self.f.local(ANY);
        self.f.f = self.f.local(ValType::Ref(RefType::FUNCREF));
        self.f.n = params.checked_sub(1);
        emit(self);
        std::mem::replace(&mut self.f, outer)
    }

    /// Defines a function of a role.
    fn role(&mut self, role: Role, entity: Entity, body: &Body) {
        let ty = match &entity {
            Entity::Function(params, results) => {
                let (params, results) = (params.clone(), results.clone());
                self.m.view.function(&mut self.c, &params, &results)
            }
            Entity::Typed(ty) => self.ty(*ty),
            _ => return,
        };
        let index = self.m.function(ty, body);
        self.item(role, entity, index, true);
    }

    /// A collection by name, which the epoch counts.
    pub(super) fn collect(&mut self) {
        if let Some(epoch) = self.some(Role::Epoch) {
            self.f.op().global_get(epoch.index).i32_const(1).i32_add().global_set(epoch.index);
        }
        self.f.op().call(GC);
    }

    fn maybe_collect(&mut self) {
        if self.c.chance(2, 3) {
            self.collect();
        }
    }

    /// `(i32) -> (ref $chain)`: a node, or a short list.
    fn maker(&mut self) {
        let at = self.c.below(self.world.chain.len());
        let (ty, maker) = (self.world.chain[at], self.world.makers[at]);
        let body = self.body(1, |g| {
            if g.c.chance(1, 2) {
                g.node(1);
                let a = g.f.a;
                g.f.op().local_set(a);
            }
            let made = nullable(g.concrete(ty));
            let made = g.f.local(ValType::Ref(made));
            g.fresh(ty, 2);
            g.f.op().local_set(made);
            g.maybe_collect();
            let own = g.ty(ty);
            let a = g.f.a;
            g.f.op().local_get(made).local_get(a).struct_set(own, NEXT);
            g.f.op().local_get(made).ref_as_non_null();
        });
        self.role(Role::Maker, Entity::Typed(maker), &body);
    }

    /// `(ref null $node) -> (ref null $node)`: the argument lies in this frame only while others run.
    fn relay(&mut self) {
        let node = self.world.node_ref();
        let body = self.body(1, |g| {
            g.f.n = None;
            match g.c.below(4) {
                0 => {
                    let own = g.concrete(g.world.node());
                    g.f.op().local_get(0).call(WAIT).ref_cast_nullable(own);
                    let a = g.f.a;
                    g.f.op().local_set(a);
                }
                _ => {
                    let a = g.f.a;
                    g.f.op().local_get(0).local_set(a);
                    g.maybe_collect();
                }
            }
            if g.c.chance(1, 2) {
                g.push_front();
            }
            g.collect();
            let a = g.f.a;
            g.f.op().local_get(a);
        });
        self.role(Role::Relay, Entity::Function(vec![node], vec![node]), &body);
    }

    /// `(i32) -> ()`: throws a new node with the argument, half of the time for even arguments only.
    fn thrower(&mut self) {
        let Some(tag) = self.some(Role::Tag) else { return };
        let body = self.body(1, |g| {
            let always = g.c.chance(1, 2);
            if !always {
                g.f.op().local_get(0).i32_const(1).i32_and().i32_eqz().if_(BlockType::Empty);
            }
            g.node(2);
            g.maybe_collect();
            g.f.op().local_get(0).throw(tag.index);
            if !always {
                g.f.op().end();
            }
        });
        self.role(Role::Thrower, Entity::Function(vec![ValType::I32], Vec::new()), &body);
    }

    /// A callback: what it does depends on the budget, it may end in a tail call.
    pub(super) fn callback(&mut self) {
        let decoys = self.declared(|g, ty| ty >= g.world.first_decoy && g.is_callback(ty));
        let ty = match decoys {
            Some(decoy) if self.c.chance(1, 5) => decoy,
            _ => self.c.pick(&self.world.callbacks),
        };
        let own_node = self.concrete(self.world.node());
        let body = self.body(2, |g| {
            if let Some(budget) = g.some(Role::Budget) {
                g.f.op().global_get(budget.index).i32_eqz().if_(BlockType::Empty);
                g.f.op().i64_const(-1).return_().end();
                g.f.op().global_get(budget.index).i32_const(1).i32_sub().global_set(budget.index);
            }
            let a = g.f.a;
            g.f.op().local_get(0).ref_test_non_null(own_node).if_(BlockType::Empty);
            g.f.op().local_get(0).ref_cast_nullable(own_node).local_set(a).end();
            g.f.calls = g.c.chance(1, 2);
            let n = g.c.range(1, 2);
            g.statements(n);
            if g.c.chance(1, 2) {
                g.tail_call();
            }
            let sum = g.f.sum;
            g.f.op().local_get(sum);
        });
        self.role(Role::Callback, Entity::Typed(ty), &body);
    }

    /// Whether it is a function type of a callback's results, so one of theirs or a decoy.
    pub(super) fn is_callback(&self, ty: u32) -> bool {
        match &self.world.defs[ty as usize].composite_type.inner {
            CompositeInnerType::Func(ty) => ty.results() == [ValType::I64],
            _ => false,
        }
    }

    /// `(anyref) -> i64`: reads what a reference leads to, node by node. Nodes of another module that have outlived a
    /// collection are logged.
    pub(super) fn walker(&mut self) {
        let [sum, visits, node, key, a, b, f] = [0, 1, 2, 3, 4, 5, 6].map(|local| local + 1);
        let node_ty = self.ty(self.world.node());
        let node_ref = ValType::Ref(nullable(HeapType::Concrete(node_ty)));
        let outer = std::mem::replace(&mut self.f, Body::new(1));
        for ty in [ValType::I64, ValType::I32, node_ref, ValType::I32, node_ref, node_ref] {
            self.f.local(ty);
        }
        self.f.local(ValType::Ref(RefType::FUNCREF));
        (self.f.sum, self.f.a, self.f.b, self.f.x, self.f.f) = (sum, a, b, 0, f);
        self.f.op().loop_(BlockType::Empty);
        self.f.op().local_get(visits).i32_const(1).i32_add().local_tee(visits).i32_const(VISITS).i32_gt_u();
        self.f.op().if_(BlockType::Empty).local_get(sum).return_().end();
        self.f.block(ANY);
        self.f.op().local_get(0);
        self.f.op().br_on_cast_fail(0, RefType::ANYREF, non_null(HeapType::Concrete(node_ty)));
        self.f.op().local_tee(node).struct_get(node_ty, KEY).local_tee(key);
        self.add_i32();
        self.foreign(key);
        let tests = if self.large { self.c.range(3, 7) } else { self.c.range(1, 2) };
        self.classify(node, false, tests);
        self.add_i32();
        self.fields(node);
        self.f.op().local_get(node).struct_get(node_ty, NEXT).local_set(0);
        self.content(node, node_ty);
        self.f.op().br(1).end();
        // Something else.
        self.f.op().local_set(0);
        let signed = self.c.chance(1, 2);
        self.f.op().local_get(0).ref_test_non_null(HeapType::I31).if_(BlockType::Empty);
        self.f.op().local_get(0).ref_cast_non_null(HeapType::I31);
        match signed {
            true => self.f.op().i31_get_s(),
            false => self.f.op().i31_get_u(),
        };
        self.add_i32();
        self.f.op().end();
        let tests = if self.large { 3 } else { 1 };
        self.classify(0, false, tests);
        self.add_i32();
        self.holder();
        self.first_of_bag();
        self.f.op().end().local_get(sum);
        let ty = self.m.view.function(&mut self.c, &[ANY], &[ValType::I64]);
        let body = std::mem::replace(&mut self.f, outer);
        self.walk = self.m.function(ty, &body);
    }

    /// Logs the key of a node that another module has made before the latest collection.
    fn foreign(&mut self, key: u32) {
        let Some(epoch) = self.some(Role::Epoch) else { return };
        let own = self.m.number as i32;
        self.f.op().local_get(key).i32_const(20).i32_shr_u().i32_const(own).i32_ne();
        self.f.op().local_get(key).i32_const(8).i32_shr_u().i32_const(0xfff).i32_and();
        self.f.op().global_get(epoch.index).i32_const(0xfff).i32_and().i32_ne();
        self.f.op().i32_and().if_(BlockType::Empty).local_get(key).call(LOG_I32).end();
    }

    /// Adds the fields of a few deeper types, as far as the node has them.
    fn fields(&mut self, node: u32) {
        let node_ref = self.node_ref();
        let ValType::Ref(from) = node_ref else { return };
        let types = if self.large { 3 } else { 1 };
        for at in 0..self.world.chain.len().min(types) {
            let at = if at == 0 { self.world.chain.len() - 1 } else { at };
            let ty = self.world.chain[at];
            let own = self.ty(ty);
            let fields = self.world.fields(ty).to_vec();
            self.f.block(node_ref);
            self.f.op().local_get(node).br_on_cast_fail(0, from, non_null(HeapType::Concrete(own)));
            let typed = self.f.local(ValType::Ref(nullable(HeapType::Concrete(own))));
            self.f.op().local_set(typed);
            for (field, def) in (0..).zip(fields).skip(CONTENT as usize + 1) {
                self.f.op().local_get(typed);
                match def.element_type {
                    StorageType::I8 => self.f.op().struct_get_s(own, field),
                    StorageType::I16 => self.f.op().struct_get_u(own, field),
                    StorageType::Val(_) => self.f.op().struct_get(own, field),
                };
                match def.element_type.unpack() {
                    ValType::I64 => {}
                    ValType::F64 => {
                        self.f.op().i64_reinterpret_f64();
                    }
                    ValType::Ref(_) => {
                        self.f.op().ref_is_null().i64_extend_i32_u();
                    }
                    _ => {
                        self.f.op().i64_extend_i32_s();
                    }
                }
                self.add();
            }
            let node = self.concrete(self.world.node());
            self.f.op().ref_null(node).end().drop();
        }
    }

    /// Follows the content instead of the next node, if it is an object and there is no next one.
    fn content(&mut self, node: u32, node_ty: u32) {
        self.f.op().local_get(node).struct_get(node_ty, CONTENT).ref_test_non_null(HeapType::I31);
        self.add_i32();
        self.f.op().local_get(0).ref_is_null().if_(BlockType::Empty);
        self.f.op().local_get(node).struct_get(node_ty, CONTENT).local_set(0).end();
    }

    /// Adds which types the functions of a holder have.
    fn holder(&mut self) {
        let own = self.ty(self.world.holder);
        let f = self.f.f;
        self.f.op().local_get(0).ref_test_non_null(HeapType::Concrete(own)).if_(BlockType::Empty);
        self.f.op().local_get(0).ref_cast_non_null(HeapType::Concrete(own));
        self.f.op().struct_get(own, HELD_ANY).local_set(f);
        let tests = if self.large { 3 } else { 1 };
        self.classify(f, true, tests);
        self.add_i32();
        self.f.op().end();
    }

    /// Goes on with the first element of an array, at the loop around.
    fn first_of_bag(&mut self) {
        let own = self.ty(self.world.bag);
        let x = self.f.x;
        self.f.op().local_get(x).ref_test_non_null(HeapType::Concrete(own)).if_(BlockType::Empty);
        self.f.op().local_get(x).ref_cast_non_null(HeapType::Concrete(own)).array_len();
        self.add_i32();
        self.f.op().local_get(x).ref_cast_non_null(HeapType::Concrete(own)).array_len().if_(BlockType::Empty);
        self.f.op().local_get(x).ref_cast_non_null(HeapType::Concrete(own)).i32_const(0).array_get(own);
        self.f.op().local_set(x).br(2).end().end();
    }

    /// Exported functions `(i32) -> (i64, ref)` of statements; the last of them may trap at its end.
    pub(super) fn entries(&mut self) {
        let entries = if self.large { 2 } else { self.c.weighted(&[(3, 1), (1, 2)]) };
        for entry in 0..entries {
            let result = self.c.pick(&[ANY, self.world.node_ref()]);
            let body = self.body(1, |g| {
                if let Some(budget) = g.some(Role::Budget) {
                    g.f.op().i32_const(BUDGET).global_set(budget.index);
                }
                g.f.calls = true;
                let n = if g.large { g.c.range(3, 6) } else { g.c.range(1, 3) };
                g.statements(n);
                if !g.large {
                    // Few statements may not look at what others have made.
                    g.maybe_collect();
                    g.read();
                }
                if g.c.chance(1, 7) {
                    g.trap();
                }
                let sum = g.f.sum;
                g.f.op().local_get(sum);
                g.node(2);
            });
            let ty = self.m.view.function(&mut self.c, &[ValType::I32], &[ValType::I64, result]);
            let index = self.m.function(ty, &body);
            let name = format!("e{entry}");
            self.m.export(&name, &Entity::Function(Vec::new(), Vec::new()), index);
            self.m.entries.push(name);
        }
    }

    /// A start function that works on what is shared, in some modules.
    pub(super) fn start(&mut self) {
        if self.c.chance(1, 3) {
            let body = self.body(0, |g| {
                let n = g.c.range(1, 2);
                g.statements(n);
            });
            let ty = self.m.view.function(&mut self.c, &[], &[]);
            self.m.start = Some(self.m.function(ty, &body));
        }
    }

    /// Fills a part of a table of functions with the module's callbacks.
    pub(super) fn fill_functions(&mut self) {
        let callbacks = self.m.of(Role::Callback);
        for item in self.m.of(Role::Functions) {
            let Entity::Table { element, min, .. } = item.entity else { continue };
            let fits: Vec<u32> = callbacks
                .iter()
                .filter(|callback| match (element.heap_type, &callback.entity) {
                    (HeapType::Concrete(of), Entity::Typed(ty)) => self.extends(*ty, of),
                    _ => true,
                })
                .map(|callback| callback.index)
                .collect();
            let len = fits.len().min(min as usize);
            let at = self.c.below(min as usize - len + 1) as u32;
            if len == 0 || self.c.chance(1, 3) {
                continue;
            }
            if element == RefType::FUNCREF {
                self.m.functions_at(item.index, at, &fits[..len]);
            } else {
                let items: Vec<Vec<u8>> = fits[..len]
                    .iter()
                    .map(|f| {
                        self.constant(|g| {
                            g.f.op().ref_func(*f);
                        })
                    })
                    .collect();
                let element = self.m.view.reference(&mut self.c, element);
                self.m.objects_at(Some((item.index, at)), element, &items);
            }
        }
    }
}
