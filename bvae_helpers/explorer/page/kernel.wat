;; The inner loop of decoder.js, sixteen numbers at a time:
;;     row[i] = bias + sum over t of weight[t] * memory[address[t] + i]      for 0 <= i < length
;; Addresses and lengths count bytes. `length` is rounded up to whole blocks of 64 bytes.
;; tools/assemble.py turns this file into kernel.wasm.
(module
  (import "page" "memory" (memory 1))
  (func (export "mac")
    (param $row i32) (param $length i32) (param $addresses i32) (param $weights i32) (param $terms i32)
    (param $bias f32)
    (local $i i32) (local $t i32) (local $p i32)
    (local $w v128) (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    loop $blocks
      local.get $bias
      f32x4.splat
      local.tee $a
      local.tee $b
      local.tee $c
      local.set $d
      i32.const 0
      local.set $t
      loop $terms_of_a_block
        ;; p = address[t] + i
        local.get $addresses
        local.get $t
        i32.add
        i32.load
        local.get $i
        i32.add
        local.set $p
        ;; w = weight[t], four times
        local.get $weights
        local.get $t
        i32.add
        v128.load32_splat
        local.set $w
        ;; a, b, c, d += w * memory[p ... p + 15]
        local.get $p
        v128.load offset=0
        local.get $w
        f32x4.mul
        local.get $a
        f32x4.add
        local.set $a
        local.get $p
        v128.load offset=16
        local.get $w
        f32x4.mul
        local.get $b
        f32x4.add
        local.set $b
        local.get $p
        v128.load offset=32
        local.get $w
        f32x4.mul
        local.get $c
        f32x4.add
        local.set $c
        local.get $p
        v128.load offset=48
        local.get $w
        f32x4.mul
        local.get $d
        f32x4.add
        local.set $d
        ;; the next term
        local.get $t
        i32.const 4
        i32.add
        local.tee $t
        local.get $terms
        i32.lt_u
        br_if $terms_of_a_block
      end
      ;; row[i ... i + 15] = a, b, c, d
      local.get $row
      local.get $i
      i32.add
      local.tee $p
      local.get $a
      v128.store offset=0
      local.get $p
      local.get $b
      v128.store offset=16
      local.get $p
      local.get $c
      v128.store offset=32
      local.get $p
      local.get $d
      v128.store offset=48
      ;; the next block
      local.get $i
      i32.const 64
      i32.add
      local.tee $i
      local.get $length
      i32.lt_u
      br_if $blocks
    end
  )
)
