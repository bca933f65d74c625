// What a device can do at most: multiply-adds in registers, and copies.
#include "abi/probe.h"
#include "base/processor.h"
#include "base/thread.h"
#include "base/time.h"
#include "ops/op.h"
#if defined __x86_64__
#include <immintrin.h>
#endif
#include <math.h>
#include <string.h>
#include <tuff/bench.h>

enum {
    SUMS = 8, STEPS = 16, // as in probe.comp
    ROUNDS = 256,
    COPY_BYTES = 64 << 20, // more than caches hold
    RUNS = 25, // of which the fastest counts: short ones are often left alone by others
    MOST_CALLS = 256
};
static const double LEAST = 4e-3; // seconds, beside which a submission is nothing
static const double ENOUGH = 1;    // seconds of a probe

typedef struct probe {
    tuff_device *dev;
    const tuff_caps *caps;
    tuff_range from, to; // COPY_BYTES each
} probe;

typedef tuff_status (*record_fn)(const probe *p, tuff_cmd *cmd, int kind);

// ---- the CPU path ------------------------------------------------------------------------

enum { CPU_ROUNDS = 4096, CPU_PIECES = 256 };

static volatile float never = -1;

// Eight sums in vectors of `lanes` numbers, so that none waits for the one before: eight floats
// fill a register of AVX2, sixteen one of AVX-512, and two of what every processor has.
#define CPU_PROBE(name, type, lanes, start, step)                               \
    static void name(void *unused, size_t begin, size_t end)                    \
    {                                                                           \
        typedef type vec __attribute__((vector_size(lanes * sizeof(type))));    \
        const type factor = (type)(start);                                      \
        const vec m = (vec){ 0 } + factor, c = m + m;                           \
        (void)unused, (void)c;                                                  \
        for (size_t i = begin; i < end; i++) {                                  \
            vec a0 = m, a1 = m + 1, a2 = m + 2, a3 = m + 3;                     \
            vec a4 = m + 4, a5 = m + 5, a6 = m + 6, a7 = m + 7;                 \
            for (int r = 0; r < CPU_ROUNDS; r++) {                              \
                a0 = step(a0, a1), a1 = step(a1, a2), a2 = step(a2, a3);        \
                a3 = step(a3, a4), a4 = step(a4, a5), a5 = step(a5, a6);        \
                a6 = step(a6, a7), a7 = step(a7, a0);                           \
            }                                                                   \
            const vec s = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7;                \
            if ((float)s[0] == never) never = (float)s[1];                      \
        }                                                                       \
    }
#define BY_CONSTANT(a, next)  (a) * m + c
#define BY_NEIGHBOUR(a, next) (a) * m + (next)
#define CPU_PROBES(target, name, lanes)                                         \
    target CPU_PROBE(floats_##name, float, lanes, never * -0.5f, BY_CONSTANT)   \
    target CPU_PROBE(integers_##name, uint32_t, lanes, never * -3, BY_NEIGHBOUR)
CPU_PROBES(, any, 8)
CPU_PROBES(TUFF_TARGET_AVX2, avx2, 8)
CPU_PROBES(TUFF_TARGET_AVX512, avx512, 16)

// Dot products, each added to a sum of 32 bits: sixteen of them in a register.
#if defined __x86_64__
#define DOT_PROBE(name, target_, sum, operand, zero, value, dot)                \
    __attribute__((target(target_))) static void name(void *unused, size_t begin, size_t end) \
    {                                                                           \
        (void)unused;                                                           \
        for (size_t i = begin; i < end; i++) {                                  \
            const operand m = (operand)_mm512_set1_epi32((int)(value * never)); \
            sum a0 = zero, a1 = zero, a2 = zero, a3 = zero;                     \
            sum a4 = zero, a5 = zero, a6 = zero, a7 = zero;                     \
            for (int r = 0; r < CPU_ROUNDS; r++) {                              \
                a0 = dot(a0, m, m), a1 = dot(a1, m, m), a2 = dot(a2, m, m);     \
                a3 = dot(a3, m, m), a4 = dot(a4, m, m), a5 = dot(a5, m, m);     \
                a6 = dot(a6, m, m), a7 = dot(a7, m, m);                         \
            }                                                                   \
            const __m512i s = (__m512i)a0 + (__m512i)a1 + (__m512i)a2 + (__m512i)a3 + \
                              (__m512i)a4 + (__m512i)a5 + (__m512i)a6 + (__m512i)a7; \
            if ((float)s[0] == never) never = (float)s[1];                      \
        }                                                                       \
    }
DOT_PROBE(dots_i8, "avx512f,avx512vnni", __m512i, __m512i, _mm512_setzero_si512(), 3,
          _mm512_dpbusd_epi32)
DOT_PROBE(dots_bf16, "avx512f,avx512bf16", __m512, __m512bh, _mm512_setzero_ps(), 0,
          _mm512_dpbf16_ps)
#else
static void dots_i8(void *unused, size_t begin, size_t end)
{
    (void)unused, (void)begin, (void)end;
}
#define dots_bf16 dots_i8 // nobody calls either
#endif

static int cpu_lanes(void)
{
    return tuff_this_processor() == TUFF_PROCESSOR_AVX512 ? 16 : 8;
}

static void cpu_copy(void *ptr, size_t begin, size_t end)
{
    void *const *range = ptr;
    const size_t piece = COPY_BYTES / CPU_PIECES;
    memcpy((char *)range[1] + begin * piece, (char *)range[0] + begin * piece,
           (end - begin) * piece);
}

static void call_floats(void *arg, void *const ptr[])
{
    const tuff_processor p = tuff_this_processor();
    (void)ptr;
    tuff_parallel_for(CPU_PIECES, p == TUFF_PROCESSOR_AVX512 ? floats_avx512
                                : p == TUFF_PROCESSOR_AVX2   ? floats_avx2 : floats_any, arg);
}

static void call_integers(void *arg, void *const ptr[])
{
    const tuff_processor p = tuff_this_processor();
    (void)ptr;
    tuff_parallel_for(CPU_PIECES, p == TUFF_PROCESSOR_AVX512 ? integers_avx512
                                : p == TUFF_PROCESSOR_AVX2   ? integers_avx2 : integers_any,
                      arg);
}

static void call_dots_i8(void *arg, void *const ptr[])
{
    (void)ptr;
    tuff_parallel_for(CPU_PIECES, dots_i8, arg);
}

static void call_dots_bf16(void *arg, void *const ptr[])
{
    (void)ptr;
    tuff_parallel_for(CPU_PIECES, dots_bf16, arg);
}

static void call_copy(void *arg, void *const ptr[])
{
    (void)arg;
    void *range[2] = { ptr[0], ptr[1] };
    tuff_parallel_for(CPU_PIECES, cpu_copy, range);
}

static tuff_status record_cpu(const probe *p, tuff_cmd *cmd, int kind)
{
    static const tuff_host_fn fn[] = { call_floats, call_integers, call_copy, call_dots_i8,
                                       call_dots_bf16 };
    const uint32_t nothing = 0;
    const tuff_binding b[] = { { p->from, TUFF_BIND_STORAGE, TUFF_READ },
                               { p->to, TUFF_BIND_STORAGE, TUFF_WRITE } };
    return tuff_cmd_host_call(cmd, fn[kind], &nothing, sizeof nothing, b, 2);
}

// ---- kernels -----------------------------------------------------------------------------

// Records a dispatch as run.c does, its input bound to `from` and its output to `to`.
static tuff_status launch(tuff_cmd *cmd, const tuff_dispatch *d, const probe *p)
{
    tuff_binding b[TUFF_MAX_BINDINGS];
    for (int i = 0; i < d->nslot; i++)
        b[i] = (tuff_binding){ d->slot[i].role == TUFF_ROLE_IN ? p->from : p->to,
                               d->slot[i].kind, d->slot[i].access };
    return tuff_cmd_launch(cmd, &d->launch, b, d->nslot);
}

static uint32_t compute_group(const tuff_caps *k)
{
    uint32_t want = k->cpu_like ? tuff_group_size(k) : 256;
    while (want > k->max_group || want > k->max_group_size[0]) want /= 2;
    return want;
}

static uint32_t compute_groups(const tuff_caps *k) { return k->cpu_like ? 256 : 4096; }

enum { FUSED = 1 << 16 }; // beside the number of a shader

static tuff_status record_compute(const probe *p, tuff_cmd *cmd, int kind)
{
    tuff_dispatch d = { .launch = { .shader = kind % FUSED, .grid = { 1, 1, 1 } } };
    d.launch.grid[0] = compute_groups(p->caps);
    tuff_bind(&d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_spec(&d, compute_group(p->caps));
    tuff_spec(&d, (uint32_t)(kind / FUSED));
    const struct tuff_probe_pc pc = { .m = 0.5f, .c = 1, .never = -1, .whole = 0x01030507u,
                                      .rounds = ROUNDS };
    tuff_push(&d, &pc, sizeof pc);
    return launch(cmd, &d, p);
}

enum { MATRIX_SUMS = 4 }; // as in probe_matrix.comp

// Invocations of a workgroup in which subgroups are whole: four of them on GPUs.
static uint32_t matrix_group(const tuff_caps *k)
{
    uint32_t subgroups = k->cpu_like ? 1 : 4;
    while (subgroups > 1 && subgroups * k->subgroup > k->max_group) subgroups /= 2;
    return subgroups * k->subgroup;
}

// Products of the shape number kind % TUFF_COOP_MOST of the type kind / TUFF_COOP_MOST.
static tuff_status record_matrix(const probe *p, tuff_cmd *cmd, int kind)
{
    static const int shader[TUFF_COOP_TYPES] = {
        [TUFF_COOP_F16] = TUFF_SHADER_probe_matrix,
        [TUFF_COOP_BF16] = TUFF_SHADER_probe_matrix_bf16,
        [TUFF_COOP_I8] = TUFF_SHADER_probe_matrix_i8,
    };
    const int type = kind / TUFF_COOP_MOST;
    const tuff_coop *shape = &p->caps->coop[type][kind % TUFF_COOP_MOST];
    tuff_dispatch d = { .launch = { .shader = shader[type], .grid = { 1, 1, 1 } } };
    if (!tuff_shader_built(shader[type])) // this build has none
        return TUFF_ERR_UNSUPPORTED;
    d.launch.grid[0] = compute_groups(p->caps);
    if (p->caps->subgroup_control) d.launch.subgroup = p->caps->subgroup;
    tuff_bind_in(&d, 0);
    tuff_bind(&d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_spec(&d, matrix_group(p->caps));
    tuff_spec(&d, shape->m);
    tuff_spec(&d, shape->n);
    tuff_spec(&d, shape->k);
    const struct tuff_probe_pc pc = { .m = 0.5f, .c = 1, .never = -1, .whole = 1,
                                      .rounds = ROUNDS };
    tuff_push(&d, &pc, sizeof pc);
    return launch(cmd, &d, p);
}

static tuff_status record_copy(const probe *p, tuff_cmd *cmd, int shader)
{
    const uint32_t group = compute_group(p->caps), count = COPY_BYTES / 16;
    const uint32_t groups = p->caps->cpu_like ? 512 : count / group / 4;
    tuff_dispatch d = { .launch = { .shader = shader, .grid = { groups, 1, 1 } } };
    tuff_bind(&d, TUFF_ROLE_IN, 0, shader == TUFF_SHADER_probe_copy ? TUFF_BIND_STORAGE
                                                                    : TUFF_BIND_TEXEL_F32X4,
              TUFF_READ);
    tuff_bind(&d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_spec(&d, group);
    const struct tuff_probe_copy_pc pc = { count, group * groups };
    tuff_push(&d, &pc, sizeof pc);
    return launch(cmd, &d, p);
}

static tuff_status record_driver_copy(const probe *p, tuff_cmd *cmd, int unused)
{
    (void)unused;
    return tuff_cmd_copy(cmd, p->to, p->from);
}

// ---- measuring ---------------------------------------------------------------------------

// Seconds of the fastest of some runs of a list of `calls`.
static tuff_status time_calls(const probe *p, record_fn record, int kind, int calls, int runs,
                              double *best)
{
    tuff_cmd *cmd = NULL;
    tuff_ticket ticket;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_cmd_create(p->dev, true, &cmd));
    for (int i = 0; i < calls; i++) TUFF_GO(record(p, cmd, kind));
    TUFF_GO(tuff_cmd_finish(cmd));
    const double begin = tuff_time_now();
    *best = INFINITY;
    for (int i = 0; i < runs && (i < 2 || tuff_time_now() - begin < ENOUGH); i++) {
        const double start = tuff_time_now();
        TUFF_GO(tuff_device_submit(p->dev, &cmd, 1, &ticket));
        TUFF_GO(tuff_device_wait(p->dev, ticket));
        *best = fmin(*best, tuff_time_now() - start);
    }
exit:
    tuff_cmd_destroy(&cmd);
    return status;
}

// Raises *most to the units a second of a call that has `units`.
static tuff_status raise_most(const probe *p, record_fn record, int kind, double units,
                              double *most)
{
    double seconds;
    int calls = 1;
    TUFF_TRY(time_calls(p, record, kind, calls, 2, &seconds));
    while (seconds < LEAST && calls < MOST_CALLS) {
        calls *= 4;
        TUFF_TRY(time_calls(p, record, kind, calls, 2, &seconds));
    }
    TUFF_TRY(time_calls(p, record, kind, calls, RUNS, &seconds));
    *most = fmax(*most, units * calls / seconds);
    return TUFF_OK;
}

static tuff_status measure_cpu(const probe *p, tuff_bench_roof *roof)
{
    const double steps = (double)CPU_PIECES * CPU_ROUNDS * SUMS * cpu_lanes();
    TUFF_TRY(raise_most(p, record_cpu, 0, 2 * steps, &roof->f32));
    TUFF_TRY(raise_most(p, record_cpu, 1, 2 * steps, &roof->i32));
    const double sums = (double)CPU_PIECES * CPU_ROUNDS * SUMS * 16; // of 32 bits
    if (tuff_processor_dots_i8())
        TUFF_TRY(raise_most(p, record_cpu, 3, 8 * sums, &roof->i8));
    if (tuff_processor_dots_bf16())
        TUFF_TRY(raise_most(p, record_cpu, 4, 4 * sums, &roof->bf16));
    return raise_most(p, record_cpu, 2, 2.0 * COPY_BYTES, &roof->copy);
}

// The fastest of a type's shapes.
static tuff_status measure_matrix(const probe *p, int type, double *most)
{
    const tuff_caps *k = p->caps;
    const double subgroups = (double)compute_groups(k) * (matrix_group(k) / k->subgroup);
    for (int i = 0; i < TUFF_COOP_MOST && k->coop[type][i].m; i++) {
        const tuff_coop *c = &k->coop[type][i];
        const double one = 2.0 * c->m * c->n * c->k;
        const tuff_status status = raise_most(p, record_matrix, type * TUFF_COOP_MOST + i,
                                              one * MATRIX_SUMS * ROUNDS * subgroups, most);
        if (status == TUFF_ERR_UNSUPPORTED) return TUFF_OK;
        if (status != TUFF_OK) return status;
    }
    return TUFF_OK;
}

static tuff_status measure_kernels(const probe *p, tuff_bench_roof *roof)
{
    const tuff_caps *k = p->caps;
    const double steps = (double)compute_group(k) * compute_groups(k) * SUMS * STEPS * ROUNDS;
    for (int fused = 0; fused <= FUSED; fused += FUSED) {
        TUFF_TRY(raise_most(p, record_compute, TUFF_SHADER_probe_f32 + fused, 2 * steps,
                            &roof->f32));
        if (k->f16)
            TUFF_TRY(raise_most(p, record_compute, TUFF_SHADER_probe_f16 + fused, 4 * steps,
                                &roof->f16));
    }
    TUFF_TRY(raise_most(p, record_compute, TUFF_SHADER_probe_int, 2 * steps, &roof->i32));
    if (k->dot8 && tuff_shader_built(TUFF_SHADER_probe_dot))
        TUFF_TRY(raise_most(p, record_compute, TUFF_SHADER_probe_dot, 8 * steps, &roof->i8));
    TUFF_TRY(measure_matrix(p, TUFF_COOP_F16, &roof->matrix_f16));
    TUFF_TRY(measure_matrix(p, TUFF_COOP_BF16, &roof->matrix_bf16));
    TUFF_TRY(measure_matrix(p, TUFF_COOP_I8, &roof->matrix_i8));
    const double bytes = 2.0 * COPY_BYTES;
    TUFF_TRY(raise_most(p, record_copy, TUFF_SHADER_probe_copy, bytes, &roof->copy));
    if (COPY_BYTES / 16 <= k->max_texels)
        TUFF_TRY(raise_most(p, record_copy, TUFF_SHADER_probe_copy_texel, bytes, &roof->copy));
    return raise_most(p, record_driver_copy, 0, bytes, &roof->copy);
}

tuff_status tuff_bench_measure_roof(tuff_device *device, tuff_bench_roof *roof)
{
    probe p = { .dev = device, .from = { .size = COPY_BYTES }, .to = { .size = COPY_BYTES } };
    tuff_cmd *cmd = NULL;
    tuff_ticket ticket;
    tuff_status status = TUFF_OK;
    TUFF_REQUIRE(device && roof, ARG, "the device or the roof is NULL");
    p.caps = tuff_device_caps(device);
    *roof = (tuff_bench_roof){ 0 };
    TUFF_GO(tuff_buffer_create(device, COPY_BYTES, &p.from.buffer));
    TUFF_GO(tuff_buffer_create(device, COPY_BYTES, &p.to.buffer));
    // Both written once, so that their pages are there.
    TUFF_GO(tuff_cmd_create(device, true, &cmd));
    TUFF_GO(tuff_cmd_fill(cmd, p.from, 0x3f800000u));
    TUFF_GO(tuff_cmd_fill(cmd, p.to, 0));
    TUFF_GO(tuff_cmd_finish(cmd));
    TUFF_GO(tuff_device_submit(device, &cmd, 1, &ticket));
    TUFF_GO(tuff_device_wait(device, ticket));
    TUFF_GO(p.caps->cpu ? measure_cpu(&p, roof) : measure_kernels(&p, roof));
exit:
    tuff_cmd_destroy(&cmd);
    tuff_buffer_release(&p.from.buffer);
    tuff_buffer_release(&p.to.buffer);
    return status;
}
