# SPDX-License-Identifier: BSD-2-Clause
# Jetstream testbed.  "make help" lists the targets.
#
# Everything built goes under $(O).  What a packager or a developer may set on
# the command line has ?= ; what the project itself needs is in the all-* lists.

O		?= build
CC		?= cc
PKG_CONFIG	?= pkg-config
INSTALL		?= install
DESTDIR		?=
PREFIX		?= /usr/local
SBINDIR		?= $(PREFIX)/sbin
LIBDIR		?= $(PREFIX)/lib
INCLUDEDIR	?= $(PREFIX)/include
MANDIR		?= $(PREFIX)/share/man
# Where the Wireshark that we build for looks, whatever PREFIX is.
WS_PLUGINDIR	?= $(shell $(PKG_CONFIG) --variable=plugindir wireshark 2>/dev/null)/epan
WS_EXTCAPDIR	?= $(or $(shell $(PKG_CONFIG) --variable=extcapdir wireshark 2>/dev/null),$(abspath $(WS_PLUGINDIR)/../../../extcap))
WS_PROFILEDIR	?= $(shell $(PKG_CONFIG) --variable=prefix wireshark 2>/dev/null)/share/wireshark/profiles
CFLAGS		?= -O2 -g
# CI sets WERROR=1.  SAN is asan, ubsan, tsan or a comma-separated mix.
WERROR		?=
SAN		?=
V		?= 0
T		?=
SECONDS		?= 60
KEEP		?=
TAGS		?=
MAKEFLAGS	+= --no-print-directory

comma		:= ,
san-asan	:= -fsanitize=address -fno-omit-frame-pointer
san-ubsan	:= -fsanitize=undefined -fno-sanitize-recover=all
san-tsan	:= -fsanitize=thread
san-fuzzer	:= -fsanitize=fuzzer-no-link
san		:= $(foreach s,$(subst $(comma), ,$(SAN)),$(san-$s))

nl-cflags	:= $(shell $(PKG_CONFIG) --cflags libnl-3.0 libnl-route-3.0 2>/dev/null)
nl-libs		:= $(shell $(PKG_CONFIG) --libs libnl-3.0 libnl-route-3.0 2>/dev/null)
ws-cflags	 = $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags wireshark))
ws-libs		 = $(shell $(PKG_CONFIG) --libs wireshark)

all-cppflags	 = -D_GNU_SOURCE -I. -MMD -MP $(nl-cflags) $(CPPFLAGS)
all-cflags	 = -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes \
		   -Wmissing-prototypes -Wpointer-arith -Wvla -Wundef \
		   -fPIC -fvisibility=hidden $(if $(WERROR),-Werror) $(san) $(CFLAGS)
all-ldflags	 = $(san) $(LDFLAGS)

ifeq ($(V),0)
Q	:= @
say	 = @printf '  %-5s %s\n' $(1) '$(@:$(O)/%=%)';
endif

# --- what there is to build ------------------------------------------------

objs	 = $(patsubst %.c,$(O)/%.o,$(sort $(wildcard $(1:%=%/*.c))))
common	:= $(call objs,common)
engine	:= $(call objs,stack/engine)
stack	:= $(engine) $(common) $(call objs,stack/shm stack/pool stack/sock)
emu	:= $(filter-out $(O)/emulator/main.o,$(call objs,emulator)) $(common)
# What there are sources for; each appears with its part.
have	 = $(if $(wildcard $(1)),$(2))
progs	:= $(call have,emulator/main.c,$(O)/bin/jetringd) \
	   $(call have,connserver/main.c,$(O)/bin/jetconnd) \
	   $(call have,netns/main.c,$(O)/bin/jet) \
	   $(call have,tests/bench/main.c,$(O)/bin/jet-bench) \
	   $(call have,tests/sim/main.c,$(O)/bin/tcp-sim)
libs	:= $(call have,stack/api/call.c,$(O)/lib/libjetstream.so) \
	   $(call have,stack/api/preload.c,$(O)/lib/libjetstream-preload.so) \
	   $(call have,stack/packetdrill/pd_ifc.c,$(O)/lib/jetstream-packetdrill.so)
ws	:= $(shell $(PKG_CONFIG) --exists 'wireshark >= 4.0' && echo yes)
extcap	:= $(call have,netns/extcap.c,$(O)/extcap/jetextcap)
# Pools for other protocols: no shared library, so that a protocol has no version of ours to meet.
poollib	:= $(O)/lib/libjetpool.a
poolabi	:= abi/aal5.h abi/pool.h abi/portctl.h abi/vci.h
plugin	:= $(if $(ws),$(call have,dissector/packet-jetstream.c,$(O)/plugin/jetstream.so))
unit	:= $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/unit/test_*.c)))
tprogs	:= $(patsubst tests/progs/%.c,$(O)/tests/progs/%,$(sort $(wildcard tests/progs/*.c)))
benches	:= pool ring loss engine
fuzz	:= $(addprefix $(O)/tests/fuzz/,segment block conversation)
man	:= $(wildcard docs/man/*.[0-9])
profile	:= $(wildcard dissector/profile/Jetstream/*)

all: $(progs) $(libs) $(poollib) $(plugin) $(extcap)	## build everything
ifeq ($(ws),)
	@echo 'note: no wireshark >= 4.0 headers, the dissector is not built (make deps installs them)'
endif

$(O)/bin/jetringd:	$(call objs,emulator) $(common)
$(O)/bin/jetringd:	all-libs = -lisal
$(O)/bin/jetconnd:	$(call objs,connserver stack/child) $(stack)
$(O)/bin/jetconnd:	all-libs = $(nl-libs) -lcap-ng -lsodium
$(O)/bin/jet:		$(call objs,netns) $(common)
$(O)/bin/jet:		all-libs = $(nl-libs) -lpcap -ljson-c -linih
$(O)/bin/jet-bench:	$(call objs,tests/bench stack/pool) $(engine) $(common)
$(O)/bin/jet-bench:	all-libs = -lisal -ljson-c -lm
# jet under the name by which Wireshark knows it.
$(O)/extcap/jetextcap:	$(O)/bin/jet
	@mkdir -p $(@D)
	$(Q)ln -sf ../bin/jet $@
$(O)/bin/tcp-sim:	$(call objs,tests/sim) $(engine)
$(O)/lib/libjetstream.so: $(filter-out $(O)/stack/api/preload.o,$(call objs,stack/api)) $(stack)
$(O)/lib/libjetstream-preload.so: $(call objs,stack/api) $(stack)
$(O)/lib/jetstream-packetdrill.so: $(call objs,stack/packetdrill) $(stack) \
	$(filter-out %/preload.o %/link.o,$(call objs,stack/api)) $(filter-out %/child.o,$(call objs,stack/child))
# Both halves in one process, without ring: stack/packetdrill/pd.h
$(O)/lib/jetstream-packetdrill.so: pd-skip = %/poolc_ctl.o
$(O)/lib/jetstream-packetdrill.so: pd-wrap = now_us now_ns real_us futex_wait usock_wait poolc_ring addr_is_user
$(O)/lib/jetstream-packetdrill.so: all-ldflags += -Wl,--version-script=stack/packetdrill/exports.map \
	$(pd-wrap:%=-Wl,--wrap=%)
$(O)/plugin/jetstream.so: $(call objs,dissector)
$(unit):		$(O)/%: $(O)/%.o $(stack) $(emu)
$(unit):		all-libs = -lcmocka -lisal -lpthread
$(O)/tests/unit/test_packetdrill: | $(O)/lib/jetstream-packetdrill.so
connserver-units := $(filter %/test_connserver %/test_timewait %/test_cookie,$(unit))
$(connserver-units): $(filter-out %/main.o,$(call objs,connserver)) $(O)/stack/child/secret.o
$(connserver-units): all-libs += $(nl-libs) -lsodium
$(filter %/test_reclaim,$(unit)): $(call objs,stack/child)
$(filter %/test_reclaim,$(unit)): all-libs += -lcap-ng -lsodium
$(filter %/test_capfilter %/test_capfile,$(unit)): $(addprefix $(O)/netns/,capfilter.o capfile.o talk.o)
$(filter %/test_capfilter %/test_capfile,$(unit)): all-libs += -lpcap
$(filter %/test_capture,$(unit)): $(O)/netns/capqueue.o
$(tprogs):		$(O)/%: $(O)/%.o $(common) $(engine) $(call objs,stack/pool)
$(tprogs):		all-libs = -lpthread

$(fuzz):		$(O)/%: $(O)/%.o $(O)/tests/fuzz/replay.o $(engine)
$(fuzz:=.fuzzer):	$(O)/%.fuzzer: $(O)/%.o $(engine)
$(fuzz:=.fuzzer):	all-ldflags += -fsanitize=fuzzer

$(poollib): $(call objs,stack/pool) $(O)/common/clock.o
	@mkdir -p $(@D)
	$(call say,AR)
	$(Q)$(RM) $@ && $(AR) rcs $@ $^

$(O)/plugin/jetstream.so:	all-libs = $(ws-libs)
$(O)/dissector/%.o:		all-cppflags += $(ws-cflags)
$(O)/lib/%.so $(O)/plugin/%.so:	all-ldflags += -shared
$(O)/lib/%.so:			all-libs = -ldl -lpthread
$(O)/lib/jetstream-packetdrill.so: all-libs = -lsodium -ldl -lpthread

$(progs) $(libs) $(plugin) $(unit) $(tprogs) $(fuzz) $(fuzz:=.fuzzer):
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(all-ldflags) -o $@ $(filter-out $(pd-skip),$(sort $(filter %.o,$^))) $(all-libs) $(LDLIBS)

$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(all-cppflags) $(all-cflags) -c -o $@ $<

# Rewritten only when it changes, so that SAN=asan needs no "make clean".
$(O)/flags: flags := $(CC) $(all-cppflags) $(all-cflags) $(all-ldflags)
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(flags)' | cmp -s - $@ || echo '$(flags)' > $@

# --- checks ----------------------------------------------------------------

# "make check" and "make demo" install what they need, then build, then run.
check:					## all tests; installs what they need (root)
	$(Q)tests/lib/deps
	$(Q)O='$(abspath $(O))' tests/lib/nginx >/dev/null || echo 'no nginx: its test is skipped' >&2
	$(Q)$(MAKE) -j$$(nproc) O='$(O)' all $(O)/tests-built
	$(Q)O='$(abspath $(O))' tests/lib/run-all

$(O)/tests-built: $(unit) $(tprogs)
	$(Q)$(MAKE) O='$(O)/san' SAN=asan,ubsan sanitized
	@touch $@

# What "make check" runs under the sanitizers; called with an O of its own.
sanitized: $(fuzz)

soak: all $(tprogs)			## minutes of what make check does for seconds; M=minutes for each
	$(Q)O='$(abspath $(O))' tests/lib/soak $(M)

demo:					## the main job: four nodes, both TCPs, captured (root)
	$(Q)tests/lib/deps
	$(Q)$(MAKE) -j$$(nproc) O='$(O)' all
	$(Q)O='$(abspath $(O))' netns/demo.sh

bench:					## measure, each benchmark in its own lab (root)
	$(Q)tests/lib/deps valgrind
	$(Q)$(MAKE) -j$$(nproc) O='$(O)' all
	$(Q)for b in $(benches); do '$(O)/bin/jet' bench $$b || exit; done

deps:					## install the Debian packages that build and tests need (root)
	$(Q)tests/lib/deps

check-unit: $(unit)			## C unit tests; T=seq: those with "seq" in the name
	$(Q)O='$(abspath $(O))' tests/lib/run-unit '$(T)' $^

check-arch: $(engine)			## no include points upwards; the engine is pure
	$(Q)tests/lib/layers
	$(Q)tests/lib/pure $(engine)

check-netns: all $(tprogs)		## Bats, in namespaces (root); T=regex, TAGS=list filter
	$(Q)O='$(abspath $(O))' bats $(if $(T),-f '$(T)') $(if $(TAGS),--filter-tags '$(TAGS)') tests/bats

fuzz:					## fuzz the engine for SECONDS (60); KEEP=1 keeps what is new in tests/fuzz/corpus
	$(Q)tests/lib/deps clang libclang-rt-dev
	$(Q)$(MAKE) -j$$(nproc) O='$(O)/fuzz' CC=clang SAN=asan,ubsan,fuzzer fuzzers
	$(Q)tests/lib/fuzz '$(abspath $(O))/fuzz' '$(SECONDS)' '$(KEEP)'

fuzzers: $(fuzz:=.fuzzer)

coverage:				## lines and branches of the engine that the tests reach; fails below 95 % of the lines
	$(Q)tests/lib/deps gcovr
	$(Q)$(MAKE) -j$$(nproc) O='$(O)/cov' CFLAGS='-O0 -g --coverage' LDFLAGS=--coverage covered
	$(Q)tests/lib/coverage '$(abspath $(O))/cov'

# (One % only counts in a pattern.)
covered: $(filter $(addprefix $(O)/tests/unit/,test_tcp% test_ip_hdr test_icmp_hdr test_timewait),$(unit)) \
	 $(O)/bin/tcp-sim $(fuzz)

# --- install ---------------------------------------------------------------

install: all				## below $(DESTDIR)$(PREFIX); for Wireshark, where it looks
	$(INSTALL) -d '$(DESTDIR)$(SBINDIR)' '$(DESTDIR)$(LIBDIR)'
	$(INSTALL) -m 755 $(filter-out %/tcp-sim,$(progs)) '$(DESTDIR)$(SBINDIR)'
	$(if $(libs),$(INSTALL) -m 644 $(libs) '$(DESTDIR)$(LIBDIR)')
	$(if $(plugin),$(INSTALL) -D -m 644 $(plugin) '$(DESTDIR)$(WS_PLUGINDIR)/jetstream.so')
	$(if $(plugin),$(INSTALL) -d '$(DESTDIR)$(WS_EXTCAPDIR)' '$(DESTDIR)$(WS_PROFILEDIR)/Jetstream' && \
		ln -sf '$(SBINDIR)/jet' '$(DESTDIR)$(WS_EXTCAPDIR)/jetextcap' && \
		$(INSTALL) -m 644 $(profile) '$(DESTDIR)$(WS_PROFILEDIR)/Jetstream')
	$(INSTALL) -D -m 644 stack/api/jetstream.h '$(DESTDIR)$(INCLUDEDIR)/jetstream/socket.h'
	$(INSTALL) -m 644 $(poollib) '$(DESTDIR)$(LIBDIR)'
	$(INSTALL) -d '$(DESTDIR)$(INCLUDEDIR)/jetstream/abi'
	$(foreach h,stack/pool/poolc.h=pool.h $(foreach a,$(poolabi),$a=$a),\
		sed 's,^#include "\(abi/.*\)",#include <jetstream/\1>,' $(firstword $(subst =, ,$h)) \
		> '$(DESTDIR)$(INCLUDEDIR)/jetstream/$(lastword $(subst =, ,$h))' &&) :
	$(foreach m,$(man),$(INSTALL) -D -m 644 $m '$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m)' &&) :

uninstall:				## undo install
	$(RM) $(patsubst $(O)/bin/%,'$(DESTDIR)$(SBINDIR)'/%,$(filter-out %/tcp-sim,$(progs))) \
		$(patsubst $(O)/lib/%,'$(DESTDIR)$(LIBDIR)'/%,$(libs)) \
		$(if $(plugin),'$(DESTDIR)$(WS_PLUGINDIR)/jetstream.so' '$(DESTDIR)$(WS_EXTCAPDIR)/jetextcap' \
		$(patsubst dissector/profile/%,'$(DESTDIR)$(WS_PROFILEDIR)'/%,$(profile))) \
		'$(DESTDIR)$(LIBDIR)/libjetpool.a' \
		'$(DESTDIR)$(INCLUDEDIR)/jetstream/socket.h' '$(DESTDIR)$(INCLUDEDIR)/jetstream/pool.h' \
		$(foreach a,$(poolabi),'$(DESTDIR)$(INCLUDEDIR)/jetstream/$a') \
		$(foreach m,$(man),'$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m)')
	-rmdir '$(DESTDIR)$(INCLUDEDIR)/jetstream/abi' '$(DESTDIR)$(INCLUDEDIR)/jetstream' $(if $(plugin),'$(DESTDIR)$(WS_PROFILEDIR)/Jetstream') 2>/dev/null

clean:					## remove $(O)
	$(RM) -r '$(O)'

help:					## this list
	@sed -n 's/^\([a-z-]*\):.*##[ 	]*\(.*\)/  \1|\2/p' Makefile | \
		while IFS='|' read -r t d; do printf '%-15s %s\n' "$$t" "$$d"; done

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all check soak demo bench deps sanitized fuzz fuzzers coverage covered check-unit check-arch check-netns install uninstall clean help FORCE
-include $(shell find $(O) -name '*.d' 2>/dev/null)
