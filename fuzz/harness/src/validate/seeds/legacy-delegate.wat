;; The exception handling before 3.0: delegate to blocks, to other handlers and to the caller; with the new handling beside it.
(module
  (tag $e (param i32))
  (type $same (func (param i32) (result i32)))
  (func $throws (param i32) (result i32) (throw $e (local.get 0)))
  (func $handler (param i32) (result i32)
    try (result i32)
      try (result i32)
        local.get 0
        call $throws
      delegate 0
    catch $e
    end)
  (func $caller (param i32) (result i32)
    local.get 0
    try (type $same)
      call $throws
    delegate 0)
  (func $through (param i32) (result i32)
    try (result i32)
      block (result i32)
        loop (result i32)
          try (result i32)
            local.get 0
            call $throws
          delegate 2
        end
      end
    catch_all
      i32.const 1
      try
        i32.const 2
        br_if 0
      delegate 1
    end)
  (func $both (param i32) (result i32)
    block $caught (result i32)
      try_table (result i32) (catch $e $caught)
        try (result i32)
          local.get 0
          call $throws
        delegate 0
      end
    end))
