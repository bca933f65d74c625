#ifndef TUFF_KERNEL_H
#define TUFF_KERNEL_H
#include <tuff/check.h>
#include <tuff/graph.h>
// Kernels and operators of one's own. A kernel is a compute shader, given as GLSL at run time,
// and beside it, in plain C, what it should compute. It runs on streams and in graphs as the
// library's ops do, and the library's own check judges it against its reference. With a
// gradient it can be trained through, and once it is registered it is found by its name.
//
//   static void reference(void *user, const tuff_kernel_call *c, const void *const in[],
//                         void *const out[]) { ... }
//   tuff_kernel_create(&(tuff_kernel_params){
//       .name = "twice",
//       .glsl = "#version 450\n"
//               "layout(local_size_x_id = 0) in;\n"
//               "layout(push_constant) uniform Push { uint count; };\n"
//               "layout(binding = 0) readonly buffer X { float x[]; };\n"
//               "layout(binding = 1) writeonly buffer Y { float y[]; };\n"
//               "void main()\n"
//               "{\n"
//               "    if (TUFF_INDEX < count) y[TUFF_INDEX] = 2.0 * x[TUFF_INDEX];\n"
//               "}\n",
//       .in = { { .name = "x" } }, .out = { { .name = "y" } },
//       .reference = reference, .cases = (const char *const[]){ "1", "7x5", "1031", NULL },
//   }, &kernel);
//   tuff_kernel_check(device, kernel, NULL, NULL, NULL);
//   tuff_kernel_run(stream, kernel, (const tuff_tensor *[]){ x }, 1, (tuff_tensor *[]){ y }, 1,
//                   NULL);
//
//   Bindings  number 0 is the first input, and so on; the outputs follow. Set 0.
//   Launch    one invocation for each element of the first output, in workgroups whose size is
//             specialization constant 0, or that the shader says itself; push constants are
//             the number of elements (a uint) and then the params struct. A `launch` function
//             changes that.
//   TUFF_INDEX  the invocation's number, also where the grid was folded over x, y and z; it is
//             defined for every shader, and may be past the last element.
//   Types     the shader and the reference see f32, i32 and u32. A port that also takes f16,
//             say, is cast in front of and behind them.
//   Target    Vulkan 1.1, SPIR-V 1.3; whatever the shader needs must be there on every device.
//   Lifetime  what a kernel is made from is copied, but for `user`. A kernel must outlive the
//             graphs, programs and work on streams that use it.
//   Threads   a kernel may be used from several threads at a time.

typedef struct tuff_kernel tuff_kernel;

// One call, as descriptions.
typedef struct tuff_kernel_call {
    const tuff_desc *in, *out;
    int nin, nout;
    const void *params; // params_size bytes; zeros where the caller gave none
} tuff_kernel_call;

typedef enum tuff_kernel_view {
    TUFF_VIEW_STORAGE, // a storage buffer
    TUFF_VIEW_TEXEL,   // inputs: samplerBuffer with one f32 a texel, usamplerBuffer with one
                       // i32 or u32 (int(x) of a texel's x is the i32)
    TUFF_VIEW_TEXEL4   // likewise with four; sizes are then multiples of 16 bytes
} tuff_kernel_view;

typedef struct tuff_kernel_port {
    const char *name;      // NULL ends a list
    uint32_t dtypes;       // set of tuff_dtype that is taken; 0 = TUFF_F32
    tuff_kernel_view view;
    bool in_place;         // output: may lie over the first input, of the same shape
    bool no_grad;          // input: never differentiated; those of whole numbers never are
    bool positive;         // input: cases draw numbers above 0
} tuff_kernel_port;

typedef enum tuff_kernel_type { TUFF_PARAM_FLOAT, TUFF_PARAM_INT, TUFF_PARAM_BOOL }
    tuff_kernel_type;

// A member of the params struct, for texts such as "beta=2" in cases and on the command line.
typedef struct tuff_kernel_field {
    const char *name; // NULL ends a list
    tuff_kernel_type type;
    size_t offset;
} tuff_kernel_field;

// What there is on a device, for `launch`.
typedef struct tuff_kernel_device {
    uint32_t max_group, max_groups[3]; // invocations in a workgroup; workgroups in x, y, z
    uint32_t subgroup;
    uint32_t shared;   // bytes of shared memory in a workgroup
    uint32_t max_loop; // iterations one invocation may make in total; 0: no limit
    bool software;     // a driver that runs on the CPU
} tuff_kernel_device;

typedef struct tuff_kernel_launch {
    uint32_t spec[16]; // specialization constants 0, 1, ...
    int nspec;
    unsigned char push[128];
    uint32_t push_size;
    uint64_t groups;  // workgroups, folded over x, y and z as the device needs
    uint32_t grid[3]; // where grid[0] is not 0: these instead
} tuff_kernel_launch;

// A node whose gradient is asked for.
typedef struct tuff_kernel_node {
    tuff_kernel_call call;
    const tuff_var *in, *out; // its values
    const tuff_var *dy;       // gradients of the outputs; id 0 where there is none
    tuff_var *dx;             // receives those of the inputs; id 0 where none flows
} tuff_kernel_node;

typedef struct tuff_kernel_params {
    const char *name; // a-z, 0-9 and _, as "swish"
    const char *doc;  // one sentence of mathematics; may be NULL
    // The shader: GLSL, or SPIR-V that was made from it before; neither: the CPU path alone.
    const char *glsl;
    const char *file; // what errors in it call it; NULL = the name
    const uint32_t *spirv; // its entry point is "main"
    size_t spirv_bytes;
    tuff_kernel_port in[11], out[9]; // at most 10, 8 and 12 in all
    size_t params_size;              // at most 512
    tuff_kernel_field fields[25];

    // Fails where the inputs do not fit, with tuff_kernel_fail; else describes the outputs.
    // The only check of shapes there is. NULL: every output is like the first input, and the
    // inputs are of one shape.
    tuff_status (*shape)(void *user, const tuff_kernel_call *c, tuff_desc out[]);
    // Changes *l, which holds the usual launch. False: the kernel is not for this call on such
    // a device. NULL: as it is.
    bool (*launch)(void *user, const tuff_kernel_call *c, const tuff_kernel_device *d,
                   tuff_kernel_launch *l);
    // What is computed, in plain C, with sums in double. NULL: the CPU path cannot run it, and
    // nothing can judge it.
    void (*reference)(void *user, const tuff_kernel_call *c, const void *const in[],
                      void *const out[]);
    // Appends to the graph what the gradients are; of the functions of <tuff/graph.h> it calls
    // tuff_graph_op, _op_n, _reshape and _desc only. NULL: not differentiable.
    void (*gradient)(void *user, tuff_graph *g, const tuff_kernel_node *n);
    void *user; // handed to the functions

    // How it is judged.
    const char *const *cases; // ended by NULL; "7x5 5 beta=2", a word an input, then fields
    float tolerance; // |got - want| <= tolerance (|want| + rms(want)); 0 = 2e-6, TUFF_ZERO = 0
    float sample_min, sample_max; // what inputs are drawn from; both 0 = -1 to 1
} tuff_kernel_params;

// Compiles, validates and optimises the shader, and holds it against the description.
// The caller destroys it. Fails: TUFF_ERR_FORMAT (an error in the GLSL: the sentence has file
// and line; invalid SPIR-V), TUFF_ERR_ARG (a setting; a binding that is not as described),
// TUFF_ERR_UNSUPPORTED (this build has no compiler; the shader needs what not every device
// has), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_kernel_create(const tuff_kernel_params *p,
                                                   tuff_kernel **kernel);
TUFF_API void tuff_kernel_destroy(tuff_kernel **kernel);
// Whether this build can compile GLSL.
TUFF_API bool tuff_kernel_can_compile(void);

// Records one call on a stream, as tuff_op_run does. Fails: TUFF_ERR_UNSUPPORTED (no reference
// on the CPU path; a kernel that is not for such a device), and as ops do.
TUFF_API TUFF_CHECK tuff_status tuff_kernel_run(tuff_stream *s, const tuff_kernel *kernel,
                                                const tuff_tensor *const in[], int nin,
                                                tuff_tensor *const out[], int nout,
                                                const void *params);
// Appends it to a graph, as tuff_graph_op_n does.
TUFF_API void tuff_graph_kernel(tuff_graph *g, const tuff_kernel *kernel, const tuff_var *in,
                                int nin, const void *params, tuff_var *out, int nout);
// Judges its cases on a device as tuff_check_device judges the library's ops: against the
// reference, between guard words, twice for the same bits, its gradient against central
// differences. `p` and `fn` may be NULL.
// Fails: TUFF_ERR_CHECK (the sentence names the first case that failed), TUFF_ERR_ARG (no
// reference, or no cases).
TUFF_API TUFF_CHECK tuff_status tuff_kernel_check(tuff_device *device,
                                                  const tuff_kernel *kernel,
                                                  const tuff_check_params *p, tuff_check_fn fn,
                                                  void *user);

// Makes a kernel an operator: tuff_op_run, tuff_op_apply, tuff_graph_op and
// tuff_check_device know it by its name from now on. The library keeps it for good and sets
// *kernel to NULL. Fails: TUFF_ERR_ARG (the name is taken; it has no reference),
// TUFF_ERR_LIMIT; the kernel is then still the caller's.
TUFF_API TUFF_CHECK tuff_status tuff_kernel_register(tuff_kernel **kernel);

// For `shape`: makes a sentence tuff_last_error and returns `status`. The name of the kernel
// is put before it.
TUFF_API tuff_status tuff_kernel_fail(tuff_status status, const char *format, ...)
    TUFF_PRINTF(2, 3);
#endif
