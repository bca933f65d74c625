#version 450
#extension GL_GOOGLE_include_directive : require
// An operand of an integer product, packed: rows of bytes as words of four neighbours along k,
// W rows a panel; see src/ops/qgemm.h. Rows past the end repeat the last one; elements past the
// end of k, and pixels outside of an image, are the zero point.
//
//   binding 0  from    bytes in words, or numbers of BITS bits; with -DTEXEL texels   read
//   binding 1  zero    bytes in words; anything when pc.zeros is 0                    read
//   binding 2  panels  [panel][quad][W], with -DFLOATS vec4 (element - zero point),   write
//                      else words of i8 (of u8 128 is taken off)
//   spec 0     WG      workgroup size
//   spec 1     W       rows of a panel
//   spec 2     LAYOUT  TUFF_QPACK_...
//   spec 3     BITS    of an element, 2 to 8 (narrow.glsl)
//   grid       panels * quads * W / WG, folded
#include "common.glsl"
#include "divide.glsl"
#include "bytes.glsl"
#include "abi/qgemm.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint W = 1;
layout(constant_id = 2) const uint LAYOUT = TUFF_QPACK_STRIDED;
layout(constant_id = 3) const uint BITS = 8;
layout(push_constant) uniform Push { tuff_qpack_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer from;
uint word(uint i) { return texelFetch(from, int(i)).x; }
#else
layout(binding = 0) readonly buffer From { uint from[]; };
uint word(uint i) { return from[i]; }
#endif
layout(binding = 1) readonly buffer Zero { uint zero[]; };
#ifdef FLOATS
layout(binding = 2) writeonly buffer Panels { vec4 panels[]; };
#else
layout(binding = 2) writeonly buffer Panels { uint panels[]; };
#endif

#define NARROW_WORD(i) word(i)
#include "narrow.glsl"

// Four bytes of a row from element k on, `none` where there is no element.
uvec4 matrix_quad(uint row, uint k, uint none)
{
    const uint base = row * pc.row_step + k * pc.k_step, last = pc.k - 1u - k;
    uvec4 v;
    if (LAYOUT == TUFF_QPACK_CONTIGUOUS && BITS == 8u) {
        const uint low = word(base >> 2), high = word((base + min(3u, last)) >> 2);
        const uint shift = (base & 3u) * 8u;
        const uint four = low >> shift | (shift == 0u ? 0u : high << (32u - shift));
        v = uvec4(four, four >> 8, four >> 16, four >> 24) & 0xffu;
    } else {
        const uvec4 at = base + min(uvec4(0, 1, 2, 3), uvec4(last)) * pc.k_step;
        v = uvec4(narrow_byte(at.x), narrow_byte(at.y), narrow_byte(at.z), narrow_byte(at.w));
    }
    return mix(v, uvec4(none), greaterThan(uvec4(0, 1, 2, 3), uvec4(last)));
}

// The same of the pixels that pixel `row` is computed from.
uvec4 conv_quad(uint row, uint k, uint none)
{
    const uint image = divide(row, pc.plane), pixel = row - image * pc.plane.by;
    const uint line = divide(pixel, pc.to_w), column = pixel - line * pc.to_w.by;
    const ivec2 at =
        ivec2(column * pc.stride_x, line * pc.stride_y) - ivec2(pc.pad_x, pc.pad_y);
    const uint first = image * pc.from_c * pc.from_h * pc.from_w;
    uvec4 v;
    for (uint i = 0u; i < 4u; i++) {
        const uint ch = divide(k + i, pc.taps), tap = k + i - ch * pc.taps.by;
        const uint ky = divide(tap, pc.kw), kx = tap - ky * pc.kw.by;
        const uvec2 p = uvec2(at + ivec2(kx * pc.dilation_x, ky * pc.dilation_y));
        const bool there = k + i < pc.k && p.x < pc.from_w && p.y < pc.from_h;
        const uint found =
            narrow_byte(there ? first + (ch * pc.from_h + p.y) * pc.from_w + p.x : 0u);
        v[i] = there ? found : none;
    }
    return v;
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint panel = divide(i / W, pc.quads), quad = i / W - panel * pc.quads.by;
    if (panel * W >= pc.rows) return;
    const uint row = pc.first + min(panel * W + i % W, pc.rows - 1u);
    uint none = 0u;
    if (pc.zeros != 0u) {
        const uint z = pc.zeros == 1u ? 0u : row;
        none = zero[z >> 2] >> (z & 3u) * 8u & 0xffu;
    }
    const uvec4 v = LAYOUT == TUFF_QPACK_CONV ? conv_quad(row, quad * 4u, none)
                                              : matrix_quad(row, quad * 4u, none);
#ifdef FLOATS
    panels[i] = vec4(ivec4(v ^ pc.sign) - int(none ^ pc.sign));
#else
    const uvec4 b = v ^ (pc.sign ^ 0x80u);
    panels[i] = b.x | b.y << 8 | b.z << 16 | b.w << 24;
#endif
}
