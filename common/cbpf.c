/* SPDX-License-Identifier: BSD-2-Clause */
/* cbpf.c - classic BPF: check a program that came from somewhere, run it */
#include "common/cbpf.h"

#define N_MEM	BPF_MEMWORDS

static bool alu_ok(const struct sock_filter *f)
{
	bool by_k = BPF_SRC(f->code) == BPF_K;

	if (f->code & ~0xffu)
		return false;
	switch (BPF_OP(f->code)) {
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		return true;
	case BPF_DIV:
	case BPF_MOD:
		return !by_k || f->k;
	case BPF_LSH:
	case BPF_RSH:
		return !by_k || f->k < 32;
	case BPF_NEG:
		return by_k;
	}
	return false;
}

/* @left: instructions behind this one. */
static bool jump_ok(const struct sock_filter *f, size_t left)
{
	switch (f->code) {
	case BPF_JMP | BPF_JA:
		return f->k < left;
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
		return f->jt < left && f->jf < left;
	}
	return false;
}

static bool insn_ok(const struct sock_filter *f, size_t left)
{
	switch (BPF_CLASS(f->code)) {
	case BPF_ALU:
		return alu_ok(f);
	case BPF_JMP:
		return jump_ok(f, left);
	}
	switch (f->code) {
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return f->k < N_MEM;
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_IMM:
	case BPF_LDX | BPF_B | BPF_MSH:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
		return true;
	}
	return false;
}

bool cbpf_ok(const struct sock_filter *prog, size_t n)
{
	if (n < 1 || n > CBPF_MAX || BPF_CLASS(prog[n - 1].code) != BPF_RET)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!insn_ok(&prog[i], n - 1 - i))
			return false;
	return true;
}

/* @size octets from @at, big-endian. */
static bool load(const struct iovec *v, int n, uint64_t at, unsigned int size, uint32_t *to)
{
	uint32_t val = 0;

	for (; n > 0 && at >= v->iov_len; v++, n--)
		at -= v->iov_len;
	for (; size; size--, at++) {
		while (n > 0 && at == v->iov_len) {
			v++;
			n--;
			at = 0;
		}
		if (n <= 0)
			return false;
		val = val << 8 | ((const uint8_t *)v->iov_base)[at];
	}
	*to = val;
	return true;
}

/* False: a division by zero. */
static bool alu(uint16_t code, uint32_t *a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_ADD: *a += b; break;
	case BPF_SUB: *a -= b; break;
	case BPF_MUL: *a *= b; break;
	case BPF_AND: *a &= b; break;
	case BPF_OR:  *a |= b; break;
	case BPF_XOR: *a ^= b; break;
	case BPF_LSH: *a = b < 32 ? *a << b : 0; break;
	case BPF_RSH: *a = b < 32 ? *a >> b : 0; break;
	case BPF_NEG: *a = -*a; break;
	case BPF_DIV:
	case BPF_MOD:
		if (!b)
			return false;
		*a = BPF_OP(code) == BPF_DIV ? *a / b : *a % b;
		break;
	}
	return true;
}

static bool jump(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ: return a == b;
	case BPF_JGT: return a > b;
	case BPF_JGE: return a >= b;
	default:      return a & b;
	}
}

static unsigned int size_of(uint16_t code)
{
	return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

uint32_t cbpf_run(const struct sock_filter *f, const struct iovec *iov, int n_iov, uint32_t wire_len)
{
	uint32_t a = 0, x = 0, mem[N_MEM] = { 0 };

	for (;; f++) {
		uint32_t b = BPF_SRC(f->code) == BPF_X ? x : f->k;

		switch (BPF_CLASS(f->code)) {
		case BPF_RET:
			return BPF_RVAL(f->code) == BPF_A ? a : f->k;
		case BPF_ALU:
			if (!alu(f->code, &a, b))
				return 0;
			break;
		case BPF_JMP:
			if (f->code == (BPF_JMP | BPF_JA))
				f += f->k;
			else
				f += jump(f->code, a, b) ? f->jt : f->jf;
			break;
		case BPF_LD:
			switch (BPF_MODE(f->code)) {
			case BPF_IMM: a = f->k; break;
			case BPF_MEM: a = mem[f->k]; break;
			case BPF_LEN: a = wire_len; break;
			case BPF_ABS:
				if (!load(iov, n_iov, f->k, size_of(f->code), &a))
					return 0;
				break;
			case BPF_IND:
				if (!load(iov, n_iov, (uint64_t)x + f->k, size_of(f->code), &a))
					return 0;
				break;
			}
			break;
		case BPF_LDX:
			switch (BPF_MODE(f->code)) {
			case BPF_IMM: x = f->k; break;
			case BPF_MEM: x = mem[f->k]; break;
			case BPF_LEN: x = wire_len; break;
			case BPF_MSH:
				if (!load(iov, n_iov, f->k, 1, &x))
					return 0;
				x = (x & 0xf) << 2;
				break;
			}
			break;
		case BPF_ST:
			mem[f->k] = a;
			break;
		case BPF_STX:
			mem[f->k] = x;
			break;
		case BPF_MISC:
			if (BPF_MISCOP(f->code) == BPF_TAX)
				x = a;
			else
				a = x;
			break;
		}
	}
}
