;; The exception handling before 3.0: rethrow out of the clauses that it can name, however deep it lies in them.
(module
  (tag $e (param i32))
  (tag $f)
  (func $plain
    try
      throw $f
    catch $f
      rethrow 0
    end)
  (func $deep (param i32) (result i32)
    try (result i32)
      local.get 0
      throw $e
    catch $e
      drop
      block (result i32)
        local.get 0
        local.get 0
        if (param i32) (result i32)
          rethrow 2
        else
          i32.const 1
          i32.add
        end
      end
    catch_all
      loop (result i32)
        try (result i32)
          i32.const 2
        catch $e
          i32.const 1
          br_if 0
          rethrow 0
        catch_all
          rethrow 2
        end
      end
    end)
  (func $inner-and-outer
    try
      throw $f
    catch_all
      try
        throw $f
      catch $f
        try
          rethrow 1
        catch_all
          rethrow 2
        end
      end
    end))
