// The bindings and the end of every product that reads storage buffers (gemm_plain.glsl,
// gemm_tile.glsl). Who includes this has declared `pc`, whose member g is a tuff_gemm.
//
//   binding 0  a         f32[]  read   with -DHALF f16, two in a word
//   binding 1  b         f32[]  read   or of the type GEMM_B; with -DHALF as a
//   binding 2  y         f32[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias      texels, one f32 each; anything when TUFF_AFTER_BIAS is not set
//   binding 4  residual  f32[]  read   may be y; anything when TUFF_AFTER_RESIDUAL is not set
// Of the activations only relu is done here.
#ifdef HALF
#define REAL  float16_t
#define REAL4 f16vec4
layout(binding = 0) readonly buffer A { uint a[]; };
layout(binding = 1) readonly buffer B { uint b[]; };
float16_t a_at(uint i) { return unpackFloat2x16(a[i / 2])[i % 2]; }
float16_t b_at(uint i) { return unpackFloat2x16(b[i / 2])[i % 2]; }
#else
#define REAL  float
#define REAL4 vec4
layout(binding = 0) readonly buffer A { float a[]; };
#ifndef GEMM_B
#define GEMM_B float
#endif
layout(binding = 1) readonly buffer B { GEMM_B b[]; };
float a_at(uint i) { return a[i]; }
GEMM_B b_at(uint i) { return b[i]; }
#endif
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer bias;
layout(binding = 4) readonly buffer Residual { float residual[]; };

// Writes element i of y, or of a part of it; `ch` is its place in the bias.
void gemm_write(uint i, uint ch, uint split, float v)
{
    if ((pc.g.after & TUFF_AFTER_BIAS) != 0) v += texelFetch(bias, int(ch)).x;
    if ((pc.g.after & TUFF_AFTER_RESIDUAL) != 0) v += residual[i];
    if ((pc.g.after & TUFF_AFTER_ACT) != 0) v = v < 0.0 ? 0.0 : v;
    y[split * pc.g.count + i] = v;
}
