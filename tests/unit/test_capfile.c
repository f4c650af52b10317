/* SPDX-License-Identifier: BSD-2-Clause */
/* test_capfile.c - what a capture writes: formats, rings of files, a full disk */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/aal5.h"
#include "common/util.h"
#include "netns/cap.h"

#define SDU_LEN		40
#define FRAME_LEN	(5 + 48)
#define DATA_LEN	(32 + FRAME_LEN)
#define N_FRAMES	50

static char dir[] = "/tmp/jet-capfile.XXXXXX";
static char path[64];

/* --- blocks ---------------------------------------------------------------------- */

struct bytes {
	uint8_t p[16384];
	uint32_t len;
};

static struct bytes in, out;
static uint32_t at[N_FRAMES + 16];	/* of each block in @in */
static unsigned int n_blocks;

static void put(const void *p, size_t n)
{
	memcpy(in.p + in.len, p, n);
	in.len += (uint32_t)n;
}

static void put16(uint16_t v) { put(&v, 2); }
static void put32(uint32_t v) { put(&v, 4); }
static void put64(uint64_t v) { put(&v, 8); }

static void begin(uint32_t type)
{
	at[n_blocks++] = in.len;
	put32(type);
	put32(0);
}

static void end(void)
{
	uint32_t total = in.len - at[n_blocks - 1] + 4;

	memcpy(in.p + at[n_blocks - 1] + 4, &total, 4);
	put32(total);
}

static uint32_t block_len(unsigned int i)
{
	uint32_t len;

	memcpy(&len, in.p + at[i] + 4, 4);
	return len;
}

/* A frame of n1 to n2: IP, and as much of it as @cap says. */
static void epb(uint32_t iface, uint64_t t, uint32_t cap, uint64_t drops)
{
	struct js_cap_hdr h = {
		.version = 1, .hdr_len = 32, .station = 1, .dir = JS_CAP_TX, .src = 1,
		.frame_len_be = htonl(FRAME_LEN),
	};
	uint8_t frame[FRAME_LEN] = { 0, 0, 0x80, 0x12, 0 };	/* VCI 2049 */

	memcpy(frame + 5, (uint8_t[]) { 0x45, 0, 0, SDU_LEN, 0, 1, 0, 0, 64, 6 }, 10);
	frame[5 + 12] = frame[5 + 16] = 10;
	frame[FRAME_LEN - 5] = SDU_LEN;
	begin(6);
	put32(iface);
	put32((uint32_t)(t >> 32));
	put32((uint32_t)t);
	put32(cap);
	put32(DATA_LEN);
	put(&h, MIN(cap, sizeof(h)));
	if (cap > sizeof(h))
		put(frame, cap - sizeof(h));
	put(&(uint32_t){ 0 }, -cap & 3);
	if (drops) {
		put16(4);
		put16(8);
		put64(drops);
		put32(0);
	}
	end();
}

static void isb(uint32_t iface, uint64_t recv, uint64_t drop)
{
	begin(5);
	put32(iface);
	put64(0);
	put16(4);
	put16(8);
	put64(recv);
	put16(5);
	put16(8);
	put64(drop);
	put32(0);
	end();
}

/* SHB, two IDBs. */
static void head(void)
{
	in.len = n_blocks = 0;
	begin(0x0a0d0d0a);
	put32(0x1a2b3c4d);
	put16(1);
	put16(0);
	put64(UINT64_MAX);
	end();
	for (int i = 0; i < 2; i++) {
		begin(1);
		put16(JS_DLT);
		put16(0);
		put32(JS_CAP_SNAPLEN);
		put16(9);		/* if_tsresol: ns */
		put16(1);
		put32(9);
		put32(0);
		end();
	}
}

static int pass_all(struct cap_out *o)
{
	int err = 0;

	for (unsigned int i = 0; i < n_blocks && !err; i++)
		err = cap_block(o, NULL, in.p + at[i], block_len(i));
	return err ? err : cap_flush(o);
}

static void read_file(const char *name)
{
	int fd = open(name, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, out.p, sizeof(out.p));
	assert_true(n >= 0);
	out.len = (uint32_t)n;
	close(fd);
}

static void written_as(enum cap_format format)
{
	struct cap_out o = { .path = path, .format = format };

	assert_int_equal(cap_open(&o), 0);
	assert_int_equal(pass_all(&o), 0);
	assert_int_equal(cap_close(&o), 0);
	read_file(path);
}

/* --- tests ------------------------------------------------------------------------- */

static void pcapng_passes_as_it_is(void **state)
{
	(void)state;
	head();
	for (int i = 0; i < N_FRAMES; i++)
		epb((uint32_t)i % 2, 1000000000ull * 3 + 7, DATA_LEN, 0);
	isb(0, 25, 0);
	written_as(CAP_PCAPNG);
	assert_int_equal(out.len, in.len);
	assert_memory_equal(out.p, in.p, in.len);
}

static void classic_formats(void **state)
{
	static const struct {
		enum cap_format format;
		uint32_t dlt, len;
		uint8_t first[12];	/* of the packet data */
	} t[] = {
		{ CAP_PCAP, 157, DATA_LEN, { 1, 32, 1, 1, 0, 0, 1, 0, 0, 0, 0, FRAME_LEN } },
		{ CAP_SUNATM, 123, 12 + SDU_LEN, { 2, 0, 8, 1, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0 } },
		{ CAP_RAW, 101, SDU_LEN, { 0x45, 0, 0, SDU_LEN, 0, 1, 0, 0, 64, 6, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint32_t w[10];

		head();
		epb(0, 1000000000ull * 3 + 7, DATA_LEN, 0);
		epb(1, 0, DATA_LEN, 0);
		written_as(t[i].format);
		assert_int_equal(out.len, 24 + 2 * (16 + t[i].len));
		memcpy(w, out.p, sizeof(w));
		assert_int_equal(w[0], 0xa1b23c4d);
		assert_int_equal(w[5], t[i].dlt);
		assert_int_equal(w[6], 3);
		assert_int_equal(w[7], 7);
		assert_int_equal(w[8], t[i].len);
		assert_int_equal(w[9], t[i].len);
		assert_memory_equal(out.p + 40, t[i].first, sizeof(t[i].first));
	}
}

/* What was cut short keeps its true length; what is no packet is left out. */
static void cut_short(void **state)
{
	uint32_t w[2];

	(void)state;
	head();
	epb(0, 0, 32 + 5 + 20, 0);
	epb(0, 0, 32 + 5, 0);		/* no octet of the SDU: of no protocol */
	epb(0, 0, 20, 0);		/* not even our header */
	written_as(CAP_RAW);
	assert_int_equal(out.len, 24 + 16 + 20);
	memcpy(w, out.p + 32, sizeof(w));
	assert_int_equal(w[0], 20);
	assert_int_equal(w[1], SDU_LEN);
}

static unsigned int n_files(char names[][300], unsigned int max)
{
	struct dirent **list;
	int n = scandir(dir, &list, NULL, alphasort);
	unsigned int k = 0;

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		if (*list[i]->d_name != '.' && k < max)
			snprintf(names[k++], 300, "%s/%s", dir, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return k;
}

/* Frames in @out, a whole pcapng with its head and both statistics. */
static unsigned int sound(uint64_t *recv, uint64_t *drop)
{
	unsigned int n[8] = { 0 };
	uint32_t p = 0, w[12];

	while (p < out.len) {
		memcpy(w, out.p + p, sizeof(w));
		assert_in_range(w[1], 12, out.len - p);
		n[w[0] < 8 ? w[0] : 0]++;
		if (w[0] == 5) {
			uint64_t v;

			memcpy(&v, out.p + p + 24, 8);
			*recv += v;
			memcpy(&v, out.p + p + 36, 8);
			*drop += v;
		}
		p += w[1];
	}
	assert_int_equal(n[0], 1);
	assert_int_equal(n[1], 2);
	assert_int_equal(n[5], 2);
	assert_memory_equal(out.p, in.p, at[3]);
	return n[6];
}

static void ring_of_files(void **state)
{
	struct cap_out o = { .path = path, .ring_files = 3, .ring_size = 2048, .live = true };
	char names[8][300];
	unsigned int frames = 0;
	uint64_t recv = 0, drop = 0;

	(void)state;
	head();
	assert_int_equal(cap_open(&o), 0);
	for (int i = 0; i < N_FRAMES; i++) {
		epb((uint32_t)i % 2, 0, DATA_LEN, i == 3 || i == 49 ? 5 : 0);
		assert_int_equal(n_blocks, i + 4);
	}
	/* Three more were dropped behind the last record of the second interface. */
	isb(0, 25, 0);
	isb(1, 25 + 13, 13);
	for (unsigned int i = 0; i < n_blocks; i++) {
		assert_int_equal(cap_block(&o, NULL, in.p + at[i], block_len(i)), 0);
		assert_in_range(n_files(names, 8), 1, 3);
	}
	assert_int_equal(cap_dropped(&o), 13);
	assert_int_equal(cap_close(&o), 0);
	assert_int_equal(n_files(names, 8), 3);
	for (int i = 0; i < 3; i++) {
		struct stat st;

		assert_int_equal(stat(names[i], &st), 0);
		assert_in_range(st.st_size, 1, 2048 + 2 * 52);
		assert_non_null(strstr(names[i], "/c_0000"));
		assert_non_null(strstr(names[i], ".pcapng"));
		read_file(names[i]);
		frames += sound(&recv, &drop);
		unlink(names[i]);
	}
	assert_int_equal(recv, frames + drop);
	assert_int_equal(drop, 8);
	assert_int_equal(o.frames, N_FRAMES);
}

/* With room for all files nothing is missing. */
static void ring_is_complete(void **state)
{
	struct cap_out o = { .path = path, .ring_files = 8, .ring_size = 2048, .live = true };
	char names[8][300];
	unsigned int n, frames = 0;
	uint64_t recv = 0, drop = 0;

	(void)state;
	head();
	assert_int_equal(cap_open(&o), 0);
	for (int i = 0; i < N_FRAMES; i++)
		epb((uint32_t)i % 2, 0, DATA_LEN, i % 10 ? 0 : 2);
	assert_int_equal(pass_all(&o), 0);
	assert_int_equal(cap_close(&o), 0);
	n = n_files(names, 8);
	assert_in_range(n, 3, 7);
	for (unsigned int i = 0; i < n; i++) {
		read_file(names[i]);
		frames += sound(&recv, &drop);
		unlink(names[i]);
	}
	assert_int_equal(frames, N_FRAMES);
	assert_int_equal(drop, 10);
	assert_int_equal(recv, N_FRAMES + 10);
}

/* A limit in the middle of a record: the file ends before it. */
static void full_disk(void **state)
{
	struct cap_out o = { .path = path };
	struct rlimit old, lim;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	for (int f = 0; f < 2; f++) {
		memset(&o, 0, sizeof(o));
		o.path = path;
		o.format = f ? CAP_PCAP : CAP_PCAPNG;
		head();
		for (int i = 0; i < N_FRAMES; i++)
			epb(0, 0, DATA_LEN, 0);
		assert_int_equal(cap_open(&o), 0);
		lim.rlim_cur = 1999;
		setrlimit(RLIMIT_FSIZE, &lim);
		assert_int_equal(pass_all(&o), -EFBIG);
		cap_close(&o);
		setrlimit(RLIMIT_FSIZE, &old);
		read_file(path);
		if (f)
			assert_int_equal(out.len, 24 + (1999 - 24) / (16 + DATA_LEN) * (16 + DATA_LEN));
		else
			assert_int_equal(out.len, at[3] + (1999 - at[3]) / block_len(3) * block_len(3));
	}
}

/* What comes after all stands behind the last whole record. */
static void full_disk_that_has_room_again(void **state)
{
	struct cap_out o = { .path = path, .live = true };
	struct rlimit old, lim;
	uint32_t kept, isb[3];

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	head();
	for (int i = 0; i < N_FRAMES; i++)
		epb(0, 0, DATA_LEN, 0);
	kept = at[3] + (1999 - at[3]) / block_len(3) * block_len(3);
	assert_int_equal(cap_open(&o), 0);
	lim.rlim_cur = 1999;
	setrlimit(RLIMIT_FSIZE, &lim);
	assert_int_equal(pass_all(&o), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(cap_close(&o), 0);
	read_file(path);
	assert_int_equal(out.len, kept + 2 * 52);
	memcpy(isb, out.p + kept, sizeof(isb));
	assert_int_equal(isb[0], 5);
	assert_int_equal(isb[1], 52);
}

/* A second section: what the file began with stays as it was. */
static void ring_of_sections(void **state)
{
	struct cap_out o = { .path = path, .ring_files = 8, .ring_size = 2048 };
	char names[8][300];
	uint32_t len, n_head;
	unsigned int n;

	(void)state;
	head();
	n_head = in.len;
	for (int i = 0; i < 25; i++)		/* the last ones begin a file */
		epb((uint32_t)i % 2, 0, DATA_LEN, 0);
	len = in.len;
	begin(0x0a0d0d0a);
	put32(0x1a2b3c4d);
	put16(1);
	put16(7);				/* another minor version */
	put64(UINT64_MAX);
	end();
	assert_int_equal(cap_open(&o), 0);
	assert_int_equal(pass_all(&o), 0);
	assert_int_equal(cap_close(&o), 0);
	n = n_files(names, 8);
	assert_int_equal(n, 2);
	read_file(names[1]);
	assert_true(out.len > n_head + in.len - len);
	assert_memory_equal(out.p, in.p, n_head);
	assert_memory_equal(out.p + out.len - (in.len - len), in.p + len, in.len - len);
	unlink(names[0]);
	unlink(names[1]);
}

static void refusals(void **state)
{
	struct cap_out o = { .path = "/nowhere/x" };
	unsigned int files;
	uint64_t size;

	(void)state;
	assert_int_equal(cap_open(&o), -ENOENT);
	cap_close(&o);
	assert_true(cap_parse_ring("files:3,size:100", &files, &size) && files == 3 && size == 102400);
	assert_true(cap_parse_ring("size:2m,files:1", &files, &size) && size == 2 << 20);
	assert_true(cap_parse_ring("files:1,size:1G", &files, &size) && size == 1 << 30);
	assert_false(cap_parse_ring("", &files, &size));
	assert_false(cap_parse_ring("files:3", &files, &size));
	assert_false(cap_parse_ring("size:3", &files, &size));
	assert_false(cap_parse_ring("files:0,size:1", &files, &size));
	assert_false(cap_parse_ring("files:1,size:0", &files, &size));
	assert_false(cap_parse_ring("files:1,size:-1", &files, &size));
	assert_false(cap_parse_ring("files:1,size:1t", &files, &size));
	assert_false(cap_parse_ring("files:1,size:1,x:1", &files, &size));
	assert_false(cap_parse_ring("files:1,size:99999999999g", &files, &size));
}

/* Any octets changed: an error or a file, never a step outside (ASan looks). */
static void damaged_blocks(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (int k = 0; k < 4000; k++) {
		struct cap_out o = { .path = "/dev/null", .format = (enum cap_format)(k % CAP_N_FORMATS) };

		head();
		for (uint32_t i = 0; i < 4; i++)
			epb(i % 2, i, 32 + 5 + i * 16, i);
		isb(0, 4, 0);
		for (int i = 0; i < 6; i++) {
			unsigned int b = (seed = seed * 1664525 + 1013904223) >> 8, o_at, bit;

			b %= n_blocks;
			o_at = (seed = seed * 1664525 + 1013904223) >> 8;
			bit = (seed = seed * 1664525 + 1013904223) >> 29;
			o_at %= block_len(b);
			if (o_at < 4 || o_at >= 8)	/* the caller has checked the length */
				in.p[at[b] + o_at] ^= (uint8_t)(1 << bit);
		}
		assert_int_equal(cap_open(&o), 0);
		pass_all(&o);
		cap_close(&o);
	}
}

/* --- much at once, past the page cache ------------------------------------------------ */

#define BIG_SDU		60000u
#define BIG_FRAME	(5u + 60000u + 24u + 8u)	/* header, SDU, PAD, trailer */
#define BIG_DATA	(32u + BIG_FRAME)
#define BIG_BLOCK	(28u + ((BIG_DATA + 3) & ~3u) + 4)
#define BIG_BLOCKS	60u
#define BIG_MAX		(BIG_BLOCK * BIG_BLOCKS + 4096)

static uint8_t big[BIG_MAX] __attribute__((aligned(4096))), want[BIG_MAX], got[BIG_MAX];
static size_t n_big;

static void big_put(const void *p, size_t n)
{
	memcpy(big + n_big, p, n);
	n_big += n;
}

static void big_block(unsigned int i)
{
	struct js_cap_hdr h = {
		.version = 1, .hdr_len = 32, .station = 1, .dir = JS_CAP_TX, .src = 1, .frame_len_be = htonl(BIG_FRAME),
	};
	uint32_t epb[7] = { 6, BIG_BLOCK, i % 2, 0, i, BIG_DATA, BIG_DATA };
	size_t from = n_big;

	big_put(epb, sizeof(epb));
	big_put(&h, sizeof(h));
	big_put((uint8_t[]) { 0, 0, 0x80, 0x12, 0, 0x45, 0, BIG_SDU >> 8, BIG_SDU & 0xff }, 9);
	for (uint32_t k = 9; k < BIG_FRAME; k++)
		big[n_big++] = (uint8_t)(k * 31 + i + (k >> 8));
	/* Length, then the CRC */
	big[n_big - 6] = BIG_SDU >> 8;
	big[n_big - 5] = BIG_SDU & 0xff;
	while (n_big - from < BIG_BLOCK - 4)
		big[n_big++] = 0;
	big_put(&epb[1], 4);
}

static void make_big(void)
{
	head();
	n_big = 0;
	big_put(in.p, in.len);
	for (unsigned int i = 0; i < BIG_BLOCKS; i++)
		big_block(i);
}

/* All of @big, flushed after 1, 2, 3, … blocks. */
static int pass_big(struct cap_out *o, bool behind)
{
	unsigned int n = 0, batch = 1;
	int err = 0;

	for (uint32_t k = 0, len; k < n_big && !err; k += len) {
		memcpy(&len, big + k + 4, 4);
		err = cap_block(o, NULL, big + k, len);
		if (err || ++n < batch)
			continue;
		n = 0;
		batch++;
		o->behind = behind;
		err = cap_flush(o);
	}
	o->behind = behind;
	return err ? err : cap_flush(o);
}

static size_t slurp(const char *name, uint8_t *to)
{
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, to, BIG_MAX);

	assert_true(n >= 0);
	close(fd);
	return (size_t)n;
}

static void behind_writes_the_same(void **state)
{
	(void)state;
	make_big();
	for (int format = 0; format < CAP_N_FORMATS; format++) {
		struct cap_out plain = { .path = path, .format = (enum cap_format)format }, fast = plain;
		size_t n;

		assert_int_equal(cap_open(&plain), 0);
		assert_int_equal(pass_big(&plain, false), 0);
		assert_int_equal(cap_close(&plain), 0);
		n = slurp(path, want);
		assert_true(n > BIG_BLOCKS * BIG_SDU);
		assert_int_equal(cap_open(&fast), 0);
		assert_int_equal(pass_big(&fast, true), 0);
		assert_int_equal(slurp(path, got), n);		/* before it is closed, too */
		assert_memory_equal(got, want, n);
		assert_int_equal(cap_close(&fast), 0);
		assert_int_equal(fast.frames, BIG_BLOCKS);
	}
}

/* Standard output is a file that others write, too: before us, behind us, at its end. */
static void behind_on_standard_output(void **state)
{
	static const int flags[] = { 0, O_APPEND };

	(void)state;
	make_big();
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct cap_out o = { .path = "-" };
		int saved = dup(1), fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | flags[i], 0600), err;

		assert_true(saved >= 0 && fd >= 0);
		assert_int_equal(write(fd, "before ", 7), 7);
		dup2(fd, 1);
		err = cap_open(&o);
		err = err ? err : pass_big(&o, true);
		err = err ? err : cap_close(&o);
		dup2(saved, 1);
		close(saved);
		assert_int_equal(err, 0);
		assert_int_equal(write(fd, "behind", 6), 6);
		close(fd);
		assert_int_equal(slurp(path, got), 7 + n_big + 6);
		assert_memory_equal(got, "before ", 7);
		assert_memory_equal(got + 7, big, n_big);
		assert_memory_equal(got + 7 + n_big, "behind", 6);
	}
}

static void behind_on_a_full_disk(void **state)
{
	struct cap_out o = { .path = path };
	size_t n, kept;
	struct rlimit old, lim;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	make_big();
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	lim.rlim_cur = 1234567;
	assert_int_equal(cap_open(&o), 0);
	setrlimit(RLIMIT_FSIZE, &lim);
	assert_int_equal(pass_big(&o, true), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(cap_close(&o), 0);
	n = slurp(path, got);
	for (kept = in.len; kept + BIG_BLOCK <= lim.rlim_cur; kept += BIG_BLOCK)
		;
	assert_int_equal(n, kept);
	assert_memory_equal(got, big, n);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/c.pcapng", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static int clean(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(pcapng_passes_as_it_is, clean),
		cmocka_unit_test_teardown(classic_formats, clean),
		cmocka_unit_test_teardown(cut_short, clean),
		cmocka_unit_test_teardown(ring_of_files, clean),
		cmocka_unit_test_teardown(ring_is_complete, clean),
		cmocka_unit_test_teardown(full_disk, clean),
		cmocka_unit_test_teardown(full_disk_that_has_room_again, clean),
		cmocka_unit_test_teardown(ring_of_sections, clean),
		cmocka_unit_test_teardown(refusals, clean),
		cmocka_unit_test_teardown(damaged_blocks, clean),
		cmocka_unit_test_teardown(behind_writes_the_same, clean),
		cmocka_unit_test_teardown(behind_on_standard_output, clean),
		cmocka_unit_test_teardown(behind_on_a_full_disk, clean),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
