;; The exception handling before 3.0: clauses by tag and for all, nested in one another, with payloads.
(module
  (tag $none)
  (tag $one (param i32))
  (tag $two (param i64 (ref null any)))
  (type $pair (func (param i32) (result i32 i64)))
  (func $throws (param i32) (result i32)
    (if (local.get 0) (then (throw $none)))
    (throw $one (local.get 0)))
  (func $tags (param i32) (result i32)
    try (result i32)
      local.get 0
      call $throws
    catch $none
      i32.const 1
    catch $one
      i32.const 2
      i32.add
    catch $two
      drop
      i32.wrap_i64
    end)
  (func $all (param i32) (result i32 i64) (local (ref any))
    local.get 0
    try (type $pair)
      call $throws
      i64.const 1
    catch $one
      i64.const 2
    catch_all
      i32.const 3
      i64.const 4
    end)
  (func $empty
    try
    end
    try
      throw $none
    catch_all
    end)
  (func $nested (param i32)
    try
      try (result i32)
        local.get 0
        call $throws
      catch $one
        drop
        try (result i32)
          i32.const 1
          br 2
        catch_all
          i32.const 2
          return
        end
      end
      drop
    catch $none
      i32.const 1
      br_if 0
    end))
