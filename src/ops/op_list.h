// Every op, one line each; read by registry.c. X(name): the record is tuff_op_<name>.
// Kept by family, so that two families can grow at once.

// ---- matrix product and convolution


// ---- elementwise, movement, softmax, reductions, filling


// ---- pooling, losses, optimizers
X(max_pool2d)
X(max_pool2d_grad)
X(average_pool2d)
X(average_pool2d_grad)
