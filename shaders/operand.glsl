// Operands that are read only: texels, which CPU-like drivers fetch fastest, or with -DSTORED
// storage buffers, for tensors of more texels than the device can bind.
//
//   OPERAND(0, x)   floats         FETCH(x, i)     one
//   OPERAND4(0, x)  vec4s          FETCH4(x, i)    one
#ifdef STORED
#define OPERAND(at, name) layout(binding = at) readonly buffer name##_ { float name[]; };
#define OPERAND4(at, name) layout(binding = at) readonly buffer name##_ { vec4 name[]; };
#define FETCH(name, i) name[i]
#define FETCH4(name, i) name[i]
#else
#define OPERAND(at, name) layout(binding = at) uniform samplerBuffer name;
#define OPERAND4(at, name) layout(binding = at) uniform samplerBuffer name;
#define FETCH(name, i) texelFetch(name, int(i)).x
#define FETCH4(name, i) texelFetch(name, int(i))
#endif
