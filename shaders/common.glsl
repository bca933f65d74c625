// Shared by every shader.

// The workgroup's index when a grid was folded over x, y and z (tuff_grid in C). May be past
// the last group that has work: leave then.
uint group_index()
{
    return gl_WorkGroupID.x +
           gl_NumWorkGroups.x * (gl_WorkGroupID.y + gl_NumWorkGroups.y * gl_WorkGroupID.z);
}

// Built with the sign bit only: a division by zero is not portable.
#define NEG_INF uintBitsToFloat(0xff800000u)
#define POS_INF uintBitsToFloat(0x7f800000u)
