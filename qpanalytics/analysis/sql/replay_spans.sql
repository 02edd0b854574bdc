-- reads: checks, vouched.  returns: when each check was seen, in order of time.
select c.check_name as name, epoch_us(v.since_at) as since_us, epoch_us(v.until_at) as until_us
from vouched v join checks c using (check_id) order by v.since_at, c.check_id
