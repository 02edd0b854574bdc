-- reads: raw: the text of one file's rows as it stands there (an empty text is NULL), with
--   row_no     place in the file where the reader knows it, else NULL
--   fault      what is wrong with the row as a whole, or with the shape of one field, else NULL; whole: the text to show
--   known_at   the instant, where the file holds instants and not text
-- returns: one row per raw row, typed; bad_field and bad_value where a value cannot be taken.  units: seconds
-- Each first branch takes what files nearly always hold and is cheap; spaces, letter case and rarer spellings cost more
-- and are looked at only where it fails.
with timed as (
    select *,
        case
            when known_at is not null then known_at
            when regexp_full_match(received_at,
                    '\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-](0\d|1[0-5])(:?[0-5]\d)?)')
                then try_cast(received_at as timestamptz)
            -- Below 2^51 microseconds (year 2041) a double times a million rounds to the very microsecond written.
            when regexp_full_match(received_at, '\d{1,10}(\.\d{0,6})?') and try_cast(received_at as double) < 2.2e9
                then make_timestamptz(round(try_cast(received_at as double) * 1e6)::bigint)
            when regexp_full_match(trim(received_at, e' \t\r\n'),
                    '\d{4}-\d\d-\d\d[Tt ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d+)?)?'
                    ' ?(Z|z|UTC|GMT|[+-](0\d|1[0-5])(:?[0-5]\d)?)')
                then try_cast(regexp_replace(regexp_replace(upper(replace(trim(received_at, e' \t\r\n'), ',', '.')),
                    ' ?(Z|UTC|GMT)$', 'Z'), ' ([+-])', '\1') as timestamptz)
            when regexp_full_match(trim(received_at, e' \t\r\n'), '\d{1,11}(\.\d*)?')
                then make_timestamptz(split_part(trim(received_at, e' \t\r\n'), '.', 1)::bigint * 1000000
                    + rpad(left(split_part(trim(received_at, e' \t\r\n'), '.', 2), 6), 6, '0')::bigint)
        end as read_at,
        case
            when kind in ('start', 'success', 'fail', 'log') then null
            when regexp_full_match(trim(kind, e' \t\r\n'), '\d{1,3}(\.0*)?')
                then split_part(trim(kind, e' \t\r\n'), '.', 1)::smallint
        end as code,
        case
            when regexp_full_match(trim(exit_status, e' \t\r\n'), '\d{1,3}(\.0*)?')
                then split_part(trim(exit_status, e' \t\r\n'), '.', 1)::smallint
        end as status,
        case
            when regexp_full_match(trim(n, e' \t\r\n'), '\d{1,19}(\.0*)?')
                then try_cast(split_part(trim(n, e' \t\r\n'), '.', 1) as bigint)
        end as number,
        -- A hundred years at most, as everywhere; the cast takes 1_000, and NaN sorts above every number.
        case
            when try_cast(duration_s as double) between 0 and 3155760000.0 and not contains(duration_s, '_')
                then abs(try_cast(duration_s as double))
        end as seconds,
        -- What `str.strip` takes away, as from the names of check files.
        case
            when check_name[1] between '!' and '~' and check_name[-1] between '!' and '~' then check_name
            else regexp_replace(check_name, '^[\s\pZ\x0b\x1c-\x1f\x{85}]+|[\s\pZ\x0b\x1c-\x1f\x{85}]+$', '', 'g')
        end as name
    from raw
),
typed as (
    select *,
        case
            when not (read_at >= timestamptz '1970-01-02 00:00:00+00' and read_at < timestamptz '2262-01-01 00:00:00+00')
                then null
            -- 20260101 is a date that somebody forgot the hyphens of, not a second of August 1970.
            when read_at < timestamptz '1970-10-01 00:00:00+00' and regexp_full_match(trim(received_at, e' \t\r\n'),
                    '(19[7-9]|2[01]\d|22[0-6])\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\.0*)?')
                then null
            else read_at
        end as instant,
        case
            when kind in ('start', 'success', 'fail', 'log') then kind
            when kind is null or trim(kind, e' \t\r\n') = ''
                then case when coalesce(status, 0) = 0 then 'success' else 'fail' end
            when lower(trim(kind, e' \t\r\n')) in ('start', 'success', 'fail', 'log') then lower(trim(kind, e' \t\r\n'))
            when code = 0 then 'success'
            when code <= 255 then 'fail'
        end as word
    from timed
),
judged as (
    select *,
        case
            when fault is not null then fault
            when name is null or name = '' or length(name) > 500 or contains(name, chr(0)) then 'check'
            when instant is null then 'received_at'
            when word is null then 'kind'
            when number is null and trim(n, e' \t\r\n') <> '' then 'n'
            when contains(run_id, chr(0)) then 'run_id'
            when seconds is null and trim(duration_s, e' \t\r\n') <> '' then 'duration_s'
            when exit_status is not null and trim(exit_status, e' \t\r\n') <> ''
                and (status is null or status > 255 or status <> code) then 'exit_status'
            when contains(host, chr(0)) then 'host'
            when contains(body, chr(0)) then 'body'
        end as bad_field
    from typed
)
select row_no, name as check_name, instant as received_at, word as kind, number as n, run_id, seconds as duration_s,
    coalesce(code, status)::smallint as exit_status, host, body, bad_field,
    -- Names may have 500 characters: 600 are enough to see that one has more.
    left(case
        when bad_field is null then null
        when fault is not null then whole
        when bad_field = 'check' then check_name
        when bad_field = 'received_at' then coalesce(received_at, known_at::varchar)
        when bad_field = 'kind' then kind
        when bad_field = 'n' then n
        when bad_field = 'run_id' then run_id
        when bad_field = 'duration_s' then duration_s
        when bad_field = 'exit_status' then exit_status
        when bad_field = 'host' then host
        else body
    end, 600) as bad_value
from judged
