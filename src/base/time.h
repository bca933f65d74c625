#ifndef TUFF_BASE_TIME_H
#define TUFF_BASE_TIME_H

// Seconds since some moment in the past; never goes back, whatever is done to the clock.
double tuff_time_now(void);
#endif
