// 8-bit numbers inside 32-bit words: (byte ^ sign) - sign, where sign is 0x80 for i8 and 0 for
// u8.
int byte_at(uint word, uint i, uint sign)
{
    return int((word >> (i & 3u) * 8u & 0xffu) ^ sign) - int(sign);
}
